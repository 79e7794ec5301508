import { existsSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { makeFolder, syncFolder, writeFileAtomic } from '../torch/atomic-write.js';
import { versionOf } from '../torch/libtorch-version.js';
import { isRunning } from '../torch/running.js';
import { statIfThere } from '../torch/stat.js';
import { cacheProblem, LibtorchInstallError } from './errors.js';
import { type Keep, variantOf } from './kept.js';

/** The folders of one cache (M3L_HOME). */
export function foldersOf(home: string) {
  const incomplete = join(home, 'incomplete');
  return {
    home,
    /** Where a search looks: only whole installs are renamed into it. */
    libtorch: join(home, 'libtorch'),
    incomplete,
    /** Wheels that are fetched for an install that is not done. */
    store: join(incomplete, 'wheels'),
  };
}

/** What an install writes beside `torch`, to tell later what it is and whether it is still whole. */
export interface Manifest {
  version: string;
  /** Where it came from: an address, a file, a folder. */
  source: string;
  kept: Keep;
  /** Bytes of each library, by path. */
  libraries: Record<string, number>;
}

const MANIFEST = 'm3l-install.json';

/** An install in the cache. */
export interface InstalledLibtorch {
  /** Of its folder, for example `2.13.0-cpu`. */
  name: string;
  /** With lib/ in it. */
  folder: string;
  version: string | null;
  variant: string;
  /** On disk. */
  bytes: number;
  headers: boolean;
  source: string | null;
  /** Why it cannot be used, or null. */
  damage: string | null;
}

export function writeManifest(install: string, manifest: Manifest): void {
  writeFileAtomic(join(install, MANIFEST), `${JSON.stringify(manifest, null, 2)}\n`);
}

function readManifest(install: string): Manifest | null {
  try {
    return JSON.parse(readFileSync(join(install, MANIFEST), 'utf8')) as Manifest;
  } catch {
    // Installs of older versions of m3l have none.
    return null;
  }
}

/** Why an install is not whole, by names and sizes alone, or null. */
export function damageOf(install: string, keep: Keep = 'runtime'): string | null {
  const manifest = readManifest(install);
  const required = { 'torch/lib/libtorch.so': null, 'torch/lib/libtorch_cpu.so': null };
  for (const [path, bytes] of Object.entries({ ...required, ...manifest?.libraries })) {
    const found = statIfThere(join(install, path))?.size;
    if (found === undefined) return `${path} is missing`;
    if (bytes !== null && found !== bytes)
      return `${path} has ${found} bytes, ${bytes} were installed`;
  }
  if (keep !== 'runtime' && !existsSync(join(install, 'torch/include'))) return 'it has no headers';
  if (keep === 'whole' && !existsSync(join(install, 'torch/__init__.py'))) {
    return 'it has nothing for Python';
  }
  return null;
}

/** Everything in the cache that is meant to be a libtorch, by name. */
export function installedLibtorchs(home: string): InstalledLibtorch[] {
  return namesIn(home).map((name) => {
    const install = join(foldersOf(home).libtorch, name);
    const folder = join(install, 'torch');
    return {
      name,
      folder,
      version: versionOf(folder),
      variant: variantOf(name),
      bytes: bytesBelow(install),
      headers: existsSync(join(folder, 'include')),
      source: readManifest(install)?.source ?? null,
      damage: damageOf(install),
    };
  });
}

function namesIn(home: string): string[] {
  const { libtorch } = foldersOf(home);
  if (!statIfThere(libtorch)?.isDirectory()) return [];
  return readdirSync(libtorch, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() || entry.isSymbolicLink())
    .map(({ name }) => name)
    .sort();
}

/** The name that `use` chose, or null where the choice is automatic. */
export function chosenName(home: string): string | null {
  try {
    return readFileSync(join(foldersOf(home).libtorch, 'use'), 'utf8').trim() || null;
  } catch {
    return null;
  }
}

/**
 * Makes one install the one that is used, or leaves the choice to m3l (`auto`).
 * @throws LibtorchInstallError M3L_LIBTORCH_NAME, M3L_LIBTORCH_CACHE
 */
export function useLibtorch(home: string, name: string): void {
  const file = join(foldersOf(home).libtorch, 'use');
  try {
    if (name === 'auto') {
      rmSync(file, { force: true });
      return;
    }
    const install = known(home, name);
    const damage = damageOf(install);
    if (damage !== null) {
      throw new LibtorchInstallError(
        'M3L_LIBTORCH_CONTENT',
        `${name} is not whole: ${damage}. Install it again with --force.`,
      );
    }
    writeFileAtomic(file, `${name}\n`);
  } catch (error) {
    throw cacheProblem(error, dirname(file));
  }
}

/**
 * Removes an install; at every moment it is either whole or gone.
 * @returns whether `use` named it, which is automatic again
 * @throws LibtorchInstallError M3L_LIBTORCH_NAME, M3L_LIBTORCH_CACHE
 */
export function removeLibtorch(home: string, name: string): { wasChosen: boolean } {
  const install = known(home, name);
  const { libtorch, incomplete } = foldersOf(home);
  try {
    const wasChosen = chosenName(home) === name;
    if (wasChosen) useLibtorch(home, 'auto');
    prepare(incomplete);
    const aside = join(incomplete, `${name}-removed-${process.pid}`);
    renameSync(install, aside);
    syncFolder(libtorch);
    rmSync(aside, { recursive: true, force: true });
    return { wasChosen };
  } catch (error) {
    throw cacheProblem(error, libtorch);
  }
}

/** The folder of an install that is there: a name, never a path. */
function known(home: string, name: string): string {
  const names = namesIn(home);
  if (names.includes(name)) return join(foldersOf(home).libtorch, name);
  const there =
    names.length === 0
      ? 'There is none yet: m3l libtorch install'
      : `There are: ${names.join(', ')}`;
  throw new LibtorchInstallError(
    'M3L_LIBTORCH_NAME',
    `No libtorch in the cache has the name '${name}'. ${there}.`,
  );
}

/** Names of what is in the cache, for suggestions. */
export const installedNames = namesIn;

/** The folder of a name, with lib/ in it. */
export function folderOf(home: string, name: string): string {
  return join(foldersOf(home).libtorch, name, 'torch');
}

/** Bytes that unfinished installs hold. */
export function leftovers(home: string): { folder: string; bytes: number } {
  const { incomplete } = foldersOf(home);
  return { folder: incomplete, bytes: existsSync(incomplete) ? bytesBelow(incomplete) : 0 };
}

/** Removes what unfinished installs hold. */
export function removeLeftovers(home: string): void {
  const { incomplete } = foldersOf(home);
  try {
    rmSync(incomplete, { recursive: true, force: true });
  } catch (error) {
    throw cacheProblem(error, incomplete);
  }
}

/** Makes the folder and removes from it what processes that were killed left there. */
export function prepare(incomplete: string): void {
  makeFolder(incomplete);
  for (const entry of readdirSync(incomplete)) {
    const pid = /-(\d+)$/.exec(entry)?.[1];
    if (pid !== undefined && !isRunning(Number(pid))) {
      rmSync(join(incomplete, entry), { recursive: true, force: true });
    }
  }
}

function bytesBelow(folder: string): number {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => {
      const path = join(entry.parentPath ?? entry.path, entry.name);
      return sum + (statIfThere(path)?.size ?? 0);
    }, 0);
}
