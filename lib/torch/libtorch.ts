/**
 * Where a libtorch may be. Searching opens nothing: this module works on a machine without one.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

/** Oldest libtorch whose operators and binary interface the addon is tested with. */
export const minimumVersion = '2.11';

/** A folder that holds lib/libtorch.so. */
export interface Libtorch {
  /** The folder with lib/ in it. */
  readonly folder: string;
  /** Absolute path of libtorch.so. */
  readonly library: string;
  /** For example `2.13.0+cpu`; null where the folder does not say. */
  readonly version: string | null;
  /** Which rule found it. */
  readonly source: 'LIBTORCH' | 'cache' | 'python';
}

/** One line a place that was looked at and did not do. */
export type Refusals = string[];

/** The user's cache folder of this package: M3L_HOME, else XDG_CACHE_HOME/m3l, else ~/.cache/m3l. */
export function cacheFolder(): string {
  const { M3L_HOME, XDG_CACHE_HOME } = process.env;
  return resolve(M3L_HOME || join(XDG_CACHE_HOME || join(homedir(), '.cache'), 'm3l'));
}

/**
 * Candidates in the order LIBTORCH, the user's cache, Python's torch; places that hold none are
 * added to `refusals`. Python is only asked when the caller comes to it.
 */
export function* libtorchCandidates(refusals: Refusals): Generator<Libtorch> {
  yield* fromEnvironment(refusals);
  yield* fromCache(refusals);
  yield* fromPython(refusals);
}

/** The first candidate, or null; `refusals` then says why. */
export function findLibtorch(refusals: Refusals = []): Libtorch | null {
  return libtorchCandidates(refusals).next().value ?? null;
}

function* fromEnvironment(refusals: Refusals): Generator<Libtorch> {
  const named = process.env.LIBTORCH;
  if (!named) {
    refusals.push('LIBTORCH is not set');
    return;
  }
  const inspected = inspect(resolve(named), 'LIBTORCH');
  if (typeof inspected === 'string') refusals.push(`LIBTORCH: ${inspected}`);
  else yield inspected;
}

function* fromCache(refusals: Refusals): Generator<Libtorch> {
  const folder = join(cacheFolder(), 'libtorch');
  const entries = existsSync(folder) ? readdirSync(folder) : [];
  if (entries.length === 0) refusals.push(`cache: ${folder} is empty or missing`);
  for (const entry of entries.sort(newestFirst)) {
    const inspected = inspect(join(folder, entry, 'torch'), 'cache');
    if (typeof inspected === 'string') refusals.push(`cache: ${inspected}`);
    else yield inspected;
  }
}

function* fromPython(refusals: Refusals): Generator<Libtorch> {
  // find_spec locates the package without importing it, which would take seconds.
  const script =
    'import importlib.util as u; s = u.find_spec("torch"); print((s and s.submodule_search_locations or [""])[0])';
  const { stdout, error, status } = spawnSync('python3', ['-c', script], { encoding: 'utf8' });
  const folder = status === 0 ? stdout.trim() : '';
  if (error) refusals.push(`python: python3 does not start (${error.message})`);
  else if (!folder) refusals.push('python: python3 has no torch');
  else {
    const inspected = inspect(folder, 'python');
    if (typeof inspected === 'string') refusals.push(`python: ${inspected}`);
    else yield inspected;
  }
}

/** A folder as a Libtorch, or why it is none. */
function inspect(folder: string, source: Libtorch['source']): Libtorch | string {
  const library = join(folder, 'lib', 'libtorch.so');
  if (!existsSync(library)) return `${library} does not exist`;
  const version = readVersion(folder);
  if (version !== null && compareVersions(version, minimumVersion) < 0) {
    return `${folder} is libtorch ${version}; ${minimumVersion} or newer is needed`;
  }
  return { folder, library, version, source };
}

function readVersion(folder: string): string | null {
  const wheel = join(folder, 'version.py');
  if (existsSync(wheel)) {
    return /__version__\s*=\s*['"]([^'"]+)['"]/.exec(readFileSync(wheel, 'utf8'))?.[1] ?? null;
  }
  const archive = join(folder, 'build-version');
  return existsSync(archive) ? readFileSync(archive, 'utf8').trim() : null;
}

/** Of two folder names such as `2.13.0-cpu`: the newer first, and of one version CUDA before CPU. */
function newestFirst(a: string, b: string): number {
  return compareVersions(b, a) || Number(a.endsWith('cpu')) - Number(b.endsWith('cpu'));
}

function compareVersions(a: string, b: string): number {
  const parts = (version: string) => version.split(/[^\d]+/, 3).map(Number);
  const [left, right] = [parts(a), parts(b)];
  for (let i = 0; i < 3; i++) {
    const difference = (left[i] || 0) - (right[i] || 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
