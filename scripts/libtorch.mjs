// libtorch for the scripts of a clone: the installer of lib/libtorch, compiled first where it is not.
// Nothing here may be imported before node_modules is there.
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { buildLibrary } from './build-lib.mjs';

/** @typedef {'cpu' | 'cu130'} Variant */

/** The project's folder in the user's cache: M3L_HOME, or m3l in the XDG cache folder. */
export function home() {
  return (
    process.env.M3L_HOME || join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'm3l')
  );
}

/** The `torch` folder that LIBTORCH names; undefined where it is not set or leads to none. */
export function namedLibtorch() {
  const given = process.env.LIBTORCH;
  if (!given) return undefined;
  return [given, join(given, 'torch')].find((folder) =>
    existsSync(join(folder, 'lib', 'libtorch_cpu.so')),
  );
}

/** @param {(line: string) => void} log */
async function installer(log) {
  buildLibrary({ log });
  const [{ installLibtorch, installedPin }, { byteProgress }] = await Promise.all([
    import('../dist/libtorch/install.js'),
    import('../dist/cli/byte-progress.js'),
  ]);
  return { installLibtorch, installedPin, reporter: byteProgress(log) };
}

/**
 * Path of the `torch` folder that is pinned or that `from` names, whole as the wheel is (it holds
 * `lib/`, `include/` and what Python needs), installed if it is not there.
 *
 * @param {{ variant?: Variant, from?: string, log?: (line: string) => void }} [options]
 * @returns {Promise<string>}
 * @throws {Error} with a code, see lib/libtorch/install.ts
 */
export async function install({ variant = 'cpu', from, log = console.error } = {}) {
  const { installLibtorch, installedPin, reporter } = await installer(log);
  const there = from === undefined ? installedPin(variant, { keep: 'whole' }) : null;
  if (there !== null) return there;
  try {
    return (await installLibtorch({ variant, from, keep: 'whole', reporter })).folder;
  } finally {
    reporter.end();
  }
}

/**
 * The wheel by itself, without NVIDIA's libraries: enough to compile and link against, not to run.
 * It lies where no search for a libtorch finds it.
 *
 * @param {{ variant: Variant, log?: (line: string) => void }} options
 * @returns {Promise<string>} its `torch` folder
 * @throws {Error} as `install`
 */
export async function installForLinking({ variant, log = console.error }) {
  const { installLibtorch, installedPin, reporter } = await installer(log);
  const there = installedPin(variant, { keep: 'headers', linking: true });
  if (there !== null) return there;
  try {
    const options = { variant, keep: /** @type {const} */ ('headers'), linking: true, reporter };
    return (await installLibtorch(options)).folder;
  } finally {
    reporter.end();
  }
}
