// Fetches libtorch into the user's cache: the pinned torch wheel, unpacked by pip.
// Plain JavaScript without dependencies: setup.mjs runs it before node_modules exists, and
// `m3l libtorch install` imports it.
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { findPip } from './tools.mjs';

/**
 * @typedef {'cpu' | 'cu130'} Variant
 * @typedef {{ torch: string, build: string, index: string, folder: string }} Version
 */

/** The pinned wheel of each variant. @type {Record<Variant, Version>} */
export const VERSIONS = {
  cpu: {
    torch: '2.13.0',
    build: '2.13.0+cpu',
    index: 'https://download.pytorch.org/whl/cpu',
    folder: '2.13.0-cpu',
  },
  cu130: {
    torch: '2.14.1',
    build: '2.14.1+cu130',
    index: 'https://download.pytorch.org/whl/cu130',
    folder: '2.14.1-cu130',
  },
};

/** An unreachable index costs 2 × 15 s, not pip's default of minutes. */
const PATIENCE = ['--retries', '1', '--timeout', '15'];

export class LibtorchInstallError extends Error {
  /**
   * @param {string} code
   * @param {string} message
   */
  constructor(code, message) {
    super(message);
    this.name = 'LibtorchInstallError';
    this.code = code;
  }
}

/** The project's folder in the user's cache: M3L_HOME, or m3l in the XDG cache folder. */
export function home() {
  return (
    process.env.M3L_HOME || join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'm3l')
  );
}

/**
 * Folder that an installed variant has, or would have.
 * @param {Variant} [variant]
 */
export function folderOf(variant = 'cpu') {
  return join(home(), 'libtorch', VERSIONS[variant].folder);
}

/**
 * Path of the installed `torch` folder (it holds `lib/` and `include/`), or null.
 * @param {Variant} [variant]
 * @returns {string | null}
 */
export function installed(variant = 'cpu') {
  const torch = join(folderOf(variant), 'torch');
  return isLibtorch(torch) ? torch : null;
}

/**
 * Installs a variant unless it is there, and returns its `torch` folder. Everything is written
 * beside the final place and renamed at the end, so a killed install leaves nothing half made.
 *
 * @param {{ variant?: Variant, force?: boolean, log?: (line: string) => void }} [options]
 * @returns {Promise<string>}
 * @throws {LibtorchInstallError} M3L_NO_PYTHON, M3L_LIBTORCH_VARIANT, M3L_LIBTORCH_INSTALL
 */
export async function install({ variant = 'cpu', force = false, log = console.error } = {}) {
  versionOf(variant);
  const there = installed(variant);
  if (there !== null && !force) return there;
  return fetchInto(folderOf(variant), { variant, force, libraries: true, log });
}

/**
 * The wheel by itself, without NVIDIA's libraries: enough to compile and link against, not to run.
 * It lies where no search for a libtorch finds it.
 *
 * @param {{ variant: Variant, log?: (line: string) => void }} options
 * @returns {Promise<string>} its `torch` folder
 * @throws {LibtorchInstallError} as `install`
 */
export async function installForLinking({ variant, log = console.error }) {
  const target = join(home(), 'libtorch-linking', versionOf(variant).folder);
  if (isLibtorch(join(target, 'torch'))) return join(target, 'torch');
  return fetchInto(target, { variant, force: false, libraries: false, log });
}

/** @param {Variant} variant */
function versionOf(variant) {
  const version = VERSIONS[variant];
  if (version !== undefined) return version;
  throw new LibtorchInstallError(
    'M3L_LIBTORCH_VARIANT',
    `Unknown libtorch variant '${variant}': use one of ${Object.keys(VERSIONS).join(', ')}.`,
  );
}

/**
 * @param {string} target
 * @param {{ variant: Variant, force: boolean, libraries: boolean, log: (line: string) => void }} options
 */
async function fetchInto(target, { variant, force, libraries, log }) {
  const version = versionOf(variant);
  const pip = findPip();
  if (pip.python === null) {
    throw new LibtorchInstallError(
      'M3L_NO_PYTHON',
      `libtorch is fetched by pip, but ${pip.reason}. Run: ${pip.fix}`,
    );
  }

  // Not in the libtorch folder itself, where a search could find a half made one.
  const incomplete = join(home(), 'incomplete');
  for (const folder of [dirname(target), incomplete]) {
    mkdirSync(folder, { recursive: true });
  }
  removeAbandoned(incomplete);
  const temporary = join(incomplete, `${version.folder}-${process.pid}`);
  const abandon = () => rmSync(temporary, { recursive: true, force: true });
  try {
    await fetchWheel(pip.python, version, temporary, log);
    if (libraries) await fetchCudaLibraries(pip.python, version, temporary, log);
    if (!isLibtorch(join(temporary, 'torch'))) {
      throw new LibtorchInstallError(
        'M3L_LIBTORCH_INSTALL',
        `The torch ${version.torch} wheel holds no lib/libtorch.so. Set LIBTORCH to a libtorch folder instead.`,
      );
    }
    if (force) rmSync(target, { recursive: true, force: true });
    try {
      renameSync(temporary, target);
    } catch (error) {
      // Another process may have finished the same install first: its result is as good.
      if (!isLibtorch(join(target, 'torch'))) throw error;
    }
  } finally {
    abandon();
  }
  log(`libtorch: ${version.torch} (${variant}) is in ${target}`);
  return join(target, 'torch');
}

/** @param {string} torch */
function isLibtorch(torch) {
  return existsSync(join(torch, 'lib', 'libtorch.so')) && existsSync(join(torch, 'include'));
}

/**
 * Tries the exact build on the indexes pip is configured for, then PyTorch's own index, then the
 * plain version (a mirror may carry only that).
 *
 * @param {string} python
 * @param {Version} version
 * @param {string} temporary
 * @param {(line: string) => void} log
 */
async function fetchWheel(python, version, temporary, log) {
  const attempts = [
    [`torch==${version.build}`],
    [`torch==${version.build}`, '--index-url', version.index],
    [`torch==${version.torch}`],
  ];
  const reasons = [];
  for (const attempt of attempts) {
    rmSync(temporary, { recursive: true, force: true });
    log(`libtorch: pip install --no-deps ${attempt.join(' ')}`);
    const failure = await runPip(python, ['--no-deps', '--target', temporary, ...attempt], log);
    if (failure === null) return;
    reasons.push(`  pip install ${attempt.join(' ')}\n    ${failure}`);
    if (/No space left/.test(failure)) break;
  }
  throw new LibtorchInstallError(
    'M3L_LIBTORCH_INSTALL',
    [
      `torch ${version.torch} could not be installed. Tried:`,
      ...reasons,
      'Mend the network or the disk and try again, or set LIBTORCH to a libtorch folder or to the folder of an installed torch (2.11 or newer).',
    ].join('\n'),
  );
}

/**
 * A CUDA build links against NVIDIA's libraries, which come as wheels of their own; the wheel's
 * other requirements are for Python alone.
 *
 * @param {string} python
 * @param {Version} version
 * @param {string} temporary
 * @param {(line: string) => void} log
 */
async function fetchCudaLibraries(python, version, temporary, log) {
  if (!existsSync(join(temporary, 'torch', 'lib', 'libtorch_cuda.so'))) return;
  const info = readdirSync(temporary).find((name) => /^torch-.*\.dist-info$/.test(name));
  if (info === undefined) return;
  const requirements = readFileSync(join(temporary, info, 'METADATA'), 'utf8')
    .split('\n')
    .map((line) => line.match(/^Requires-Dist: ((?:nvidia|cuda)[-\w]*.*)$/)?.[1]?.trim())
    .filter((requirement) => requirement !== undefined);
  if (requirements.length === 0) return;
  log(`libtorch: pip install ${requirements.length} NVIDIA libraries`);
  const failure = await runPip(python, ['--target', temporary, ...requirements], log);
  if (failure !== null) {
    throw new LibtorchInstallError(
      'M3L_LIBTORCH_INSTALL',
      `The CUDA libraries of torch ${version.torch} could not be installed: ${failure}`,
    );
  }
}

/**
 * Runs `pip install`, passing on its progress; resolves to null, or to why it failed.
 *
 * @param {string} python
 * @param {string[]} args
 * @param {(line: string) => void} log
 * @returns {Promise<string | null>}
 */
function runPip(python, args, log) {
  return new Promise((resolve) => {
    const started = Date.now();
    const child = spawn(
      python,
      ['-m', 'pip', 'install', '--disable-pip-version-check', '--no-input', ...PATIENCE, ...args],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    );
    /** @type {string[]} */
    const errors = [];
    const heartbeat = setInterval(
      () => log(`libtorch: pip is at work, ${Math.round((Date.now() - started) / 1000)} s`),
      15_000,
    );
    eachLine(child.stdout, (line) => {
      if (/^\s*(Downloading|Processing|Installing|Using cached)/.test(line)) {
        log(`libtorch: ${line.trim()}`);
      }
    });
    eachLine(child.stderr, (line) => {
      if (/^\s*(ERROR|error)/.test(line)) errors.push(line.trim().replace(/^ERROR: /, ''));
      else if (/NewConnectionError|Timeout|timed out/.test(line)) errors.push('index unreachable');
    });
    child.on('error', (error) => {
      clearInterval(heartbeat);
      resolve(error.message);
    });
    child.on('close', (code, signal) => {
      clearInterval(heartbeat);
      const told = [...new Set(errors)].slice(-3).join('; ');
      resolve(code === 0 ? null : told || `pip ended with ${signal ?? `exit code ${code}`}`);
    });
  });
}

/**
 * @param {import('node:stream').Readable} stream
 * @param {(line: string) => void} handle
 */
function eachLine(stream, handle) {
  let rest = '';
  stream.setEncoding('utf8');
  stream.on('data', (chunk) => {
    const lines = (rest + chunk).split(/\r\n|\n|\r/);
    rest = lines.pop() ?? '';
    for (const line of lines) if (line.trim() !== '') handle(line);
  });
  stream.on('end', () => rest.trim() !== '' && handle(rest));
}

/**
 * Removes what installs that were killed left behind.
 *
 * @param {string} folder
 */
function removeAbandoned(folder) {
  for (const entry of readdirSync(folder)) {
    const pid = entry.match(/-(\d+)$/)?.[1];
    if (pid !== undefined && !isRunning(Number(pid))) {
      rmSync(join(folder, entry), { recursive: true, force: true });
    }
  }
}

/** @param {number} pid */
function isRunning(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
