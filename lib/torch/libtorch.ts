/**
 * Where a libtorch may be. Searching opens nothing: this module works on a machine without one.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { messageOf, torchBuild } from './addon.js';
import { libraryFault } from './elf.js';
import { isClone, libtorchPackage } from './installation.js';
import { versionOf } from './libtorch-version.js';
import { processesForbidden, readingForbidden } from './permission.js';

const require = createRequire(import.meta.url);

/** A folder that holds lib/libtorch.so, of a minor that m3l is built for. */
export interface Libtorch {
  /** The folder with lib/ in it. */
  readonly folder: string;
  /** Absolute path of libtorch.so. */
  readonly library: string;
  /** For example `2.13.0+cpu`; null where the folder does not say. */
  readonly version: string | null;
  /**
   * Which rule found it; 'use' is the one in the cache that `m3l libtorch use` chose, 'process' one that
   * the process had opened already.
   */
  readonly source: 'LIBTORCH' | 'use' | 'cache' | 'package' | 'python' | 'process';
  /** Whether it has CUDA. */
  readonly cuda: boolean;
}

/** One line a place that was looked at and did not do. */
export type Refusals = string[];

/** The user's cache folder of this package: M3L_HOME, else XDG_CACHE_HOME/m3l, else ~/.cache/m3l. */
export function cacheFolder(): string {
  const { M3L_HOME, XDG_CACHE_HOME } = process.env;
  return resolve(M3L_HOME || join(XDG_CACHE_HOME || join(homedir(), '.cache'), 'm3l'));
}

/**
 * Whole libtorchs of a minor with a build, in the order to try them: LIBTORCH, the one that
 * `m3l libtorch use` chose, the user's cache and the package @m3l/libtorch-* (CUDA first where a GPU
 * is visible, else CPU first; of one kind the cache, its newest first), Python's torch. Places that
 * hold none are added to `refusals`. Python is only asked when the caller comes to it.
 */
export function* libtorchCandidates(refusals: Refusals): Generator<Libtorch> {
  yield* fromEnvironment(refusals);
  const chosen = fromChoice(refusals);
  if (chosen !== null) yield chosen;
  const installed = [...fromCache(refusals), ...fromPackage(refusals)].filter(
    ({ folder }) => folder !== chosen?.folder,
  );
  const wanted = gpuVisible();
  yield* installed.sort((a, b) => Number(a.cuda !== wanted) - Number(b.cuda !== wanted));
  yield* fromPython(refusals);
}

/** The first candidate, or null; `refusals` then says why. */
export function findLibtorch(refusals: Refusals = []): Libtorch | null {
  return libtorchCandidates(refusals).next().value ?? null;
}

/** The libtorch in `folder`, which this process has opened already. */
export function openedLibtorch(folder: string): Libtorch {
  const path = (name: string) => join(folder, 'lib', libraryName(name));
  const cuda = existsSync(path('torch_cuda'));
  return { folder, library: path('torch'), version: versionOf(folder), source: 'process', cuda };
}

/** Whether this system (or container) shows an NVIDIA driver. */
export function gpuVisible(): boolean {
  return ['/dev/nvidiactl', '/proc/driver/nvidia/version'].some(isThere);
}

function* fromEnvironment(refusals: Refusals): Generator<Libtorch> {
  const named = process.env.LIBTORCH;
  if (named) yield* inspect(resolve(named), 'LIBTORCH', refusals);
  else refusals.push('LIBTORCH is not set');
}

function fromChoice(refusals: Refusals): Libtorch | null {
  const file = join(cacheFolder(), 'libtorch', 'use');
  if (!isThere(file)) return null;
  const name = readFileSync(file, 'utf8').trim();
  if (name === '' || name.includes('/')) {
    refusals.push(`use: ${file} names no folder beside it: remove it, or write it anew`);
    return null;
  }
  const folder = join(cacheFolder(), 'libtorch', name, 'torch');
  return [...inspect(folder, 'use', refusals)][0] ?? null;
}

function* fromCache(refusals: Refusals): Generator<Libtorch> {
  const folder = join(cacheFolder(), 'libtorch');
  const forbidden = readingForbidden(folder);
  if (forbidden !== null) {
    refusals.push(`cache: ${forbidden}`);
    return;
  }
  const entries = (existsSync(folder) ? readdirSync(folder) : []).filter((name) => name !== 'use');
  if (entries.length === 0) refusals.push(`cache: ${folder} is empty or missing`);
  for (const entry of entries.sort(newestFirst)) {
    yield* inspect(join(folder, entry, 'torch'), 'cache', refusals);
  }
}

function* fromPackage(refusals: Refusals): Generator<Libtorch> {
  try {
    const folder = dirname(require.resolve(`${libtorchPackage}/package.json`));
    yield* inspect(folder, 'package', refusals);
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'MODULE_NOT_FOUND';
    const reason = missing ? 'is not installed' : messageOf(error);
    refusals.push(`package: ${libtorchPackage} ${reason}`);
  }
}

function* fromPython(refusals: Refusals): Generator<Libtorch> {
  const forbidden = processesForbidden();
  if (forbidden !== null) {
    refusals.push(`python: was not asked: ${forbidden}`);
    return;
  }
  // find_spec locates the package without importing it, which would take seconds.
  const script =
    'import importlib.util as u; s = u.find_spec("torch"); print((s and s.submodule_search_locations or [""])[0])';
  const { stdout, error, status } = spawnSync('python3', ['-c', script], { encoding: 'utf8' });
  const folder = status === 0 ? stdout.trim() : '';
  if (error) refusals.push(`python: python3 does not start (${error.message})`);
  else if (!folder) refusals.push('python: python3 has no torch');
  else yield* inspect(folder, 'python', refusals);
}

/** A folder as a Libtorch, unless a refusal says why it is none. */
function* inspect(
  folder: string,
  source: Libtorch['source'],
  refusals: Refusals,
): Generator<Libtorch> {
  const refuse = (reason: string) => refusals.push(`${source}: ${reason}`);
  const forbidden = readingForbidden(folder);
  if (forbidden !== null) {
    refuse(forbidden);
    return;
  }
  const path = (name: string) => join(folder, 'lib', libraryName(name));
  const cuda = existsSync(path('torch_cuda'));
  for (const name of ['torch', 'torch_cpu', 'c10', ...(cuda ? ['torch_cuda', 'c10_cuda'] : [])]) {
    const fault = libraryFault(path(name));
    if (fault === null) continue;
    refuse(`${path(name)} ${fault}`);
    return;
  }
  const version = versionOf(folder);
  const build = torchBuild(version);
  if (typeof build === 'string') {
    const mend = isClone() ? `; \`LIBTORCH=${folder} npm run build:addon\` makes one` : '';
    refuse(`${folder} is libtorch ${version ?? 'of no version'}: ${build}${mend}`);
    return;
  }
  yield { folder, library: path('torch'), version, source, cuda };
}

function libraryName(name: string): string {
  if (process.platform === 'win32') return `${name}.dll`;
  return process.platform === 'darwin' ? `lib${name}.dylib` : `lib${name}.so`;
}

/** False as well where Node's permission model forbids to look. */
function isThere(path: string): boolean {
  return readingForbidden(path) === null && existsSync(path);
}

/** Of two folder names such as `2.13.0-cpu`: the newer first. */
function newestFirst(a: string, b: string): number {
  return b.localeCompare(a, 'en', { numeric: true });
}
