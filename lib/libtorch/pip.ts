import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { size } from './errors.js';
import type { Wheel } from './pins.js';

/** An unreachable index costs 2 × 15 s, not pip's default of minutes. */
const PATIENCE = ['--retries', '1', '--timeout', '15'];

export interface PipOptions {
  /** Where the wheels go. */
  folder: string;
  signal?: AbortSignal | undefined;
  log(line: string): void;
}

/**
 * Lets pip fetch pinned wheels from the indexes that it is configured for; it checks their hashes, takes
 * no other wheel of the same version, and installs nothing.
 *
 * @returns null, or why it failed
 */
export async function pipWheels(
  wheels: readonly Wheel[],
  options: PipOptions,
): Promise<string | null> {
  const requirements = join(options.folder, 'requirements.txt');
  mkdirSync(options.folder, { recursive: true });
  const lines = wheels.map(({ file, sha256 }) => `${requirementOf(file)} --hash=sha256:${sha256}`);
  writeFileSync(requirements, `${lines.join('\n')}\n`);
  // The wheels are for one Python, whichever runs here.
  const platforms = new Set(wheels.flatMap(({ file }) => platformsOf(file)));
  const target = [...platforms].flatMap((platform) => ['--platform', platform]);
  const python = [
    '--python-version',
    '3.11',
    '--implementation',
    'cp',
    '--abi',
    'cp311',
    '--abi',
    'none',
  ];
  const total = wheels.reduce((sum, wheel) => sum + wheel.size, 0);
  options.log(
    `pip download, ${wheels.length} wheel${wheels.length > 1 ? 's' : ''}, ${size(total)}`,
  );
  return run(['--no-deps', '--require-hashes', ...python, ...target, '-r', requirements], options);
}

/**
 * Lets pip fetch what a wheel asks for that is not pinned, with what that asks for.
 *
 * @param requirements as METADATA gives them, without their conditions
 * @returns null, or why it failed
 */
export async function pipRequirements(
  requirements: readonly string[],
  options: PipOptions,
): Promise<string | null> {
  mkdirSync(options.folder, { recursive: true });
  options.log(`pip download ${requirements.join(' ')}`);
  return run([...requirements], options);
}

/** `torch-2.13.0+cpu-cp311-…` is `torch==2.13.0+cpu`. */
function requirementOf(file: string): string {
  const [name = '', version = ''] = file.split('-');
  return `${name.replaceAll('_', '-')}==${version}`;
}

function platformsOf(file: string): string[] {
  return file
    .replace(/\.whl$/, '')
    .split('-')
    .at(-1)!
    .split('.');
}

function run(args: string[], { folder, signal, log }: PipOptions): Promise<string | null> {
  const command = ['-m', 'pip', 'download', '--disable-pip-version-check', '--no-input'];
  const options = ['--only-binary', ':all:', '--dest', folder, ...PATIENCE];
  return new Promise((resolve) => {
    const started = Date.now();
    const child = spawn('python3', [...command, ...options, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(signal && { signal }),
    });
    const errors: string[] = [];
    const heartbeat = setInterval(
      () => log(`pip is at work, ${Math.round((Date.now() - started) / 1000)} s`),
      15_000,
    );
    eachLine(child.stdout, (line) => {
      if (/^\s*(Downloading|Processing|Using cached)/.test(line)) log(line.trim());
    });
    eachLine(child.stderr, (line) => {
      if (/^\s*ERROR/.test(line)) errors.push(line.trim().replace(/^ERROR: /, ''));
      else if (/No module named pip/.test(line)) errors.push('python3 has no pip');
      else if (/NewConnectionError|Timeout|timed out/.test(line)) errors.push('index unreachable');
    });
    const end = (reason: string | null) => {
      clearInterval(heartbeat);
      resolve(reason);
    };
    child.on('error', (error) => end(`python3 does not start (${error.message})`));
    child.on('close', (code, killed) => {
      const told = [...new Set(errors)].slice(-3).join('; ');
      end(code === 0 ? null : told || `pip ended with ${killed ?? `exit code ${code}`}`);
    });
  });
}

function eachLine(stream: Readable, handle: (line: string) => void): void {
  let rest = '';
  stream.setEncoding('utf8');
  stream.on('data', (chunk: string) => {
    const lines = (rest + chunk).split(/\r\n|\n|\r/);
    rest = lines.pop() ?? '';
    for (const line of lines) if (line.trim() !== '') handle(line);
  });
  stream.on('end', () => {
    if (rest.trim() !== '') handle(rest);
  });
}
