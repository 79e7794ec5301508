import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { cp, link, mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { createPackageWithOptions } from '@electron/asar';
import { _electron, type ElectronApplication } from 'playwright-core';
import { findLibtorch } from '../../dist/torch/libtorch.js';

const root = fileURLToPath(new URL('../../', import.meta.url));
const LIBTORCH = 'node_modules/@m3l/libtorch-linux-x64';
/** A small library that is whole: what stands for libtorch's in an archive. */
const LIBRARY = join(root, 'build/native/loader/prebuilds/linux-x64/m3l_loader.node');

/** The folder of an Electron that runs here, or null, saying why. */
export async function electronFolder(): Promise<string | null> {
  const script = join(root, 'scripts/electron-for-tests.mjs');
  const { NODE_OPTIONS: _, ...env } = process.env;
  const ran = promisify(execFile)(process.execPath, [script], { env });
  const [folder, reason] = await ran.then(
    ({ stdout }) => [stdout.trim(), ''],
    (error: { stdout: string }) => [null, error.stdout.trim()],
  );
  if (folder === null) console.warn(`skipped: no Electron (${reason})`);
  return folder;
}

/**
 * Packages an app as electron-builder and Forge do: Electron beside an archive of the app and its
 * packages.
 * @param unpack what goes beside the archive instead of into it
 * @returns the program
 */
export async function packageApp(options: {
  electron: string;
  app: string;
  /** A folder that is not there yet. */
  out: string;
  unpack: string;
}): Promise<string> {
  const { electron, app, out, unpack } = options;
  const staging = `${out}-staging`;
  await cp(app, staging, { recursive: true });
  await layPackages(join(staging, 'node_modules'));
  await mkdir(join(out, 'resources'), { recursive: true });
  for (const name of await readdir(electron)) {
    if (name !== 'resources' && name !== 'electron') {
      await symlink(join(electron, name), join(out, name));
    }
  }
  // Chromium looks for its files beside the program that a link leads to.
  const program = join(out, 'app');
  await link(join(electron, 'electron'), program).catch(() =>
    cp(join(electron, 'electron'), program),
  );
  await createPackageWithOptions(staging, join(out, 'resources/app.asar'), { unpack });
  // Of 400 MB there need be no copy: a link takes the place of what stood for them.
  const libraries = join(out, 'resources/app.asar.unpacked', LIBTORCH, 'lib');
  if (existsSync(libraries)) {
    await rm(libraries, { recursive: true });
    await symlink(join(findLibtorch()!.folder, 'lib'), libraries);
  }
  return program;
}

/** An app on a screen of its own, which nobody sees. */
export async function startApp(
  program: string,
  args: readonly string[],
  env: Record<string, string | undefined>,
): Promise<{ app: ElectronApplication; close(): Promise<void> }> {
  // It writes the number that it found free.
  const options = ['-displayfd', '3', '-screen', '0', '1280x1024x24', '-nolisten', 'tcp'];
  const screen = spawn('Xvfb', options, { stdio: ['ignore', 'ignore', 'ignore', 'pipe'] });
  try {
    const ended = once(screen, 'exit').then(([code]) => {
      throw new Error(`Xvfb ended with ${code}, expected a screen`);
    });
    // Of no interest once there was a screen.
    ended.catch(() => {});
    const [number] = (await Promise.race([once(screen.stdio[3]!, 'data'), ended])) as [Buffer];
    const { NODE_OPTIONS: _, ...rest } = env;
    const app = await _electron.launch({
      executablePath: program,
      args: [...args],
      env: { ...(rest as Record<string, string>), DISPLAY: `:${String(number).trim()}` },
    });
    const close = async () => {
      await app.close();
      screen.kill();
    };
    return { app, close };
  } catch (error) {
    screen.kill();
    throw error;
  }
}

/** node_modules as they are where `npm install m3l @m3l/libtorch-linux-x64` has run. */
async function layPackages(folder: string): Promise<void> {
  const found = findLibtorch()!;
  const libtorch = join(folder, '@m3l/libtorch-linux-x64');
  await mkdir(join(libtorch, 'lib'), { recursive: true });
  for (const name of await readdir(join(found.folder, 'lib'))) {
    if (name.includes('.so')) await cp(LIBRARY, join(libtorch, 'lib', name));
  }
  await writeFile(join(libtorch, 'build-version'), found.version ?? '');
  const m3l = join(folder, 'm3l');
  await mkdir(m3l, { recursive: true });
  for (const name of ['package.json', 'dist', 'configs']) {
    await cp(join(root, name), join(m3l, name), { recursive: true });
  }
  const native = join(folder, '@m3l/linux-x64');
  await cp(join(root, 'build/native'), native, { recursive: true });
  const { dependencies, version } = await manifest(m3l);
  for (const path of [libtorch, native]) {
    await writeFile(join(path, 'package.json'), JSON.stringify({ version }));
  }
  await layDependencies(folder, Object.keys(dependencies));
}

/** Packages and what they depend on, as far as it is installed here. */
async function layDependencies(folder: string, names: readonly string[]): Promise<void> {
  for (const name of names) {
    const installed = join(root, 'node_modules', name);
    if (!existsSync(installed) || existsSync(join(folder, name))) continue;
    await cp(installed, join(folder, name), { recursive: true });
    const { dependencies, optionalDependencies } = await manifest(installed);
    await layDependencies(folder, Object.keys({ ...dependencies, ...optionalDependencies }));
  }
}

interface Manifest {
  version: string;
  dependencies: Record<string, string>;
  optionalDependencies?: Record<string, string>;
}

async function manifest(folder: string): Promise<Manifest> {
  const text = await readFile(join(folder, 'package.json'), 'utf8');
  return { dependencies: {}, ...(JSON.parse(text) as Omit<Manifest, 'dependencies'>) };
}
