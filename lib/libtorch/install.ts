import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { makeFolder, syncFolder } from '../torch/atomic-write.js';
import { cacheFolder } from '../torch/libtorch.js';
import { refuseLack } from './builds.js';
import { damageOf, foldersOf, prepare, writeManifest } from './cache.js';
import { type Contents, contentsOfArchive, contentsOfFolder } from './contents.js';
import { freeBytes, requireSpace } from './disk.js';
import type { Patience } from './download.js';
import { cacheProblem, interrupted, LibtorchInstallError, size } from './errors.js';
import { type Keep, nameOf, variantOf } from './kept.js';
import { withLock } from './lock.js';
import { fetchLibraries } from './nvidia.js';
import { PINS, type Variant, wheelsOf } from './pins.js';
import { fetchPlan, type Plan, planOf, type Source } from './source.js';
import { missingLibraries, requireNewEnough, verifyLibtorch } from './verify.js';
import { bytesToFetch, type Reporter } from './wheels.js';

export interface InstallOptions {
  /** Which pinned libtorch; with `from`, what that must be. Default: cpu. */
  variant?: Variant | undefined;
  /** A wheel or zip, a folder (an unpacked libtorch, or wheels), or an address. */
  from?: string | undefined;
  /** Replace what is there. */
  force?: boolean;
  /** Default: what runs. */
  keep?: Keep;
  /** Without NVIDIA's libraries, where no search finds it: to link against, not to run. */
  linking?: boolean;
  /**
   * Why m3l could not use a libtorch of a version, or null: such a source is refused, unless what a
   * compiler needs is kept. Absent: any will do.
   */
  lack?: ((version: string) => string | null) | undefined;
  signal?: AbortSignal | undefined;
  reporter: Reporter;
  patience?: Patience;
  /** The cache; default: M3L_HOME or the user's. */
  home?: string;
}

export interface Installed {
  /** With lib/ in it. */
  folder: string;
  /** Of its folder in the cache. */
  name: string;
  variant: string;
  version: string;
  /** Whether it was there before. */
  wasThere: boolean;
}

/**
 * Installs a libtorch into the cache unless it is there. All is written beside its final place and
 * renamed at the end: a killed install leaves nothing half made, and what it fetched is gone on from. Of
 * two at once the second waits and takes the first one's.
 *
 * @throws LibtorchInstallError, each with its mend: M3L_LIBTORCH_SOURCE, _PLATFORM, _NETWORK, _HASH,
 *   _ARCHIVE, _CONTENT, _ARCHITECTURE, _VERSION, _VARIANT, _DISK, _CACHE, M3L_INTERRUPTED
 */
export async function installLibtorch(options: InstallOptions): Promise<Installed> {
  const home = options.home ?? cacheFolder();
  const { signal, reporter } = options;
  try {
    const plan = planOf(options.from, options.variant);
    const early =
      plan.kind === 'pin' ? thereAlready(home, PINS[plan.pin.variant].name, options) : null;
    if (early !== null) return early;
    return await withLock(home, () => installPlan(plan, home, options), {
      signal,
      waiting: () => reporter.log(`another m3l is installing into ${home}: waiting for it`),
    });
  } catch (error) {
    if (signal?.aborted) throw interrupted();
    throw cacheProblem(error, home);
  }
}

/** The pinned libtorch in the cache, whole, or null. */
export function installedPin(
  variant: Variant,
  { keep = 'runtime' as Keep, linking = false, home = cacheFolder() } = {},
): string | null {
  const install = join(parentOf(home, linking), PINS[variant].name);
  return damageOf(install, keep) === null ? join(install, 'torch') : null;
}

function parentOf(home: string, linking: boolean): string {
  return linking ? join(home, 'libtorch-linking') : foldersOf(home).libtorch;
}

function thereAlready(home: string, name: string, options: InstallOptions): Installed | null {
  const { force = false, keep = 'runtime', linking = false, reporter } = options;
  const install = join(parentOf(home, linking), name);
  if (force || !existsSync(install)) return null;
  const damage = damageOf(install, keep);
  if (damage !== null) {
    reporter.log(`${install} is installed again: ${damage}`);
    return null;
  }
  const folder = join(install, 'torch');
  const { version } = verifyLibtorch(folder);
  return { folder, name, variant: variantOf(name), version, wasThere: true };
}

async function installPlan(plan: Plan, home: string, options: InstallOptions): Promise<Installed> {
  const { keep = 'runtime', linking = false, signal, reporter } = options;
  const { store, incomplete } = foldersOf(home);
  if (plan.kind === 'pin') {
    const there = thereAlready(home, plan.pin.name, options);
    if (there !== null) return there;
    requireUsable(`--variant ${plan.pin.variant}`, plan.pin.version, options);
    announce(plan, home, options);
  }
  prepare(incomplete);
  makeFolder(store);
  const libraries = !linking;
  const fetching = { store, beside: null, signal, reporter, patience: options.patience, libraries };
  const source = await fetchPlan(plan, fetching);
  const opened = await openAll(source, keep);
  try {
    const name = nameFor(source, opened, options);
    const there = plan.kind === 'pin' || name === null ? null : thereAlready(home, name, options);
    if (there !== null) return there;
    const bytes = opened.reduce((sum, contents) => sum + contents.bytes, 0);
    requireSpace(home, bytes, `Unpacking ${source.told}`);
    const temporary = join(incomplete, `${name ?? 'libtorch'}-${process.pid}`);
    try {
      rmSync(temporary, { recursive: true, force: true });
      await writeAll(opened, temporary, bytes, options);
      const done = await complete(temporary, source, { ...options, home });
      tidy(source, store);
      return done;
    } finally {
      rmSync(temporary, { recursive: true, force: true });
    }
  } finally {
    for (const contents of opened) contents.close();
  }
}

/** Says what is about to happen, and refuses what does not fit. */
function announce(plan: Plan & { kind: 'pin' }, home: string, options: InstallOptions): void {
  const { pin, beside } = plan;
  const wheels = wheelsOf(pin, !options.linking);
  const toFetch = bytesToFetch(wheels, foldersOf(home).store, beside);
  const unpacked = pin.unpacked[options.keep ?? 'runtime'];
  options.reporter.log(
    `libtorch ${pin.version}: ${size(toFetch)} to fetch, ${size(unpacked)} unpacked; ${size(freeBytes(home))} free in ${home}`,
  );
  requireSpace(home, toFetch + unpacked, `libtorch ${pin.version}`);
}

async function openAll(source: Source, keep: Keep): Promise<Contents[]> {
  if (source.kind === 'folder') return [contentsOfFolder(source.folder, keep)];
  const opened: Contents[] = [];
  try {
    for (const path of source.paths) opened.push(await contentsOfArchive(path, keep));
    return opened;
  } catch (error) {
    for (const contents of opened) contents.close();
    throw error;
  }
}

/** The install's name as far as it is known before it is unpacked; what cannot be used is refused. */
function nameFor(source: Source, opened: Contents[], options: InstallOptions): string | null {
  if (source.kind === 'wheels' && source.pin !== null) {
    requireUsable(source.told, source.pin.version, options);
    return wanted(source.pin.name, options);
  }
  const { version, cuda } = opened[0]!;
  if (version === null) return null;
  requireUsable(source.told, version, options);
  return wanted(nameOf(version, cuda), options);
}

/** Refuses a version that m3l could not open. */
function requireUsable(told: string, version: string, { lack, keep }: InstallOptions): void {
  requireNewEnough(told, version);
  if ((keep ?? 'runtime') === 'runtime') refuseLack(told, version, lack?.(version) ?? null);
}

function wanted(name: string, { variant, from }: InstallOptions): string {
  if (from === undefined || variant === undefined || variantOf(name) === variant) return name;
  throw new LibtorchInstallError(
    'M3L_LIBTORCH_VARIANT',
    `--from ${from} is libtorch ${name}, and --variant ${variant} was asked for. Leave out --variant, or name another.`,
  );
}

async function writeAll(
  opened: Contents[],
  to: string,
  total: number,
  { signal, reporter }: InstallOptions,
): Promise<void> {
  let done = 0;
  const onBytes = (bytes: number) => {
    done += bytes;
    reporter.progress?.('unpacking', done, total);
  };
  mkdirSync(to, { recursive: true });
  for (const contents of opened) await contents.write(to, { signal, onBytes });
}

/** Checks what was unpacked, adds what it still needs, and renames it into its place. */
async function complete(
  temporary: string,
  source: Source,
  options: InstallOptions & { home: string },
): Promise<Installed> {
  const { home, keep = 'runtime', linking = false } = options;
  const torch = join(temporary, 'torch');
  const { version, cuda } = verifyLibtorch(torch, { headers: keep !== 'runtime' });
  const pin = source.kind === 'wheels' ? source.pin : null;
  if (pin === null) requireUsable(source.told, version, options);
  if (cuda && !linking) await requireLibraries(temporary, source, options);
  const name = pin?.name ?? wanted(nameOf(version, cuda), options);
  const libraries = Object.fromEntries(
    librariesBelow(temporary).map((path) => [path, statSync(join(temporary, path)).size]),
  );
  writeManifest(temporary, { version, source: source.told, kept: keep, libraries });
  const target = join(parentOf(home, linking), name);
  place(temporary, target, foldersOf(home).incomplete);
  const folder = join(target, 'torch');
  return { folder, name, variant: variantOf(name), version, wasThere: false };
}

/** A torch with CUDA is nothing without NVIDIA's libraries, which its wheel names and does not hold. */
async function requireLibraries(
  temporary: string,
  source: Source,
  options: InstallOptions & { home: string },
): Promise<void> {
  const torch = join(temporary, 'torch');
  let missing = missingLibraries(torch);
  if (missing.length === 0) return;
  const metadata = metadataIn(temporary);
  if (source.kind === 'wheels' && source.pin === null && metadata !== null) {
    const { store } = foldersOf(options.home);
    const { signal, reporter, patience } = options;
    const wheels = await fetchLibraries(metadata, {
      store,
      beside: source.beside,
      signal,
      reporter,
      patience,
    });
    const opened: Contents[] = [];
    try {
      for (const path of wheels) opened.push(await contentsOfArchive(path, 'runtime'));
      const bytes = opened.reduce((sum, contents) => sum + contents.bytes, 0);
      requireSpace(options.home, bytes, 'Unpacking NVIDIA’s libraries');
      await writeAll(opened, temporary, bytes, options);
    } finally {
      for (const contents of opened) contents.close();
    }
    missing = missingLibraries(torch);
  }
  if (missing.length === 0) return;
  throw new LibtorchInstallError(
    'M3L_LIBTORCH_CONTENT',
    `${source.told} needs libraries that are neither in it, nor beside it, nor in the system's folders: ${missing.join(', ')}. Name a torch folder within the site-packages that has them, or install the pinned one: m3l libtorch install --variant cu130`,
  );
}

function metadataIn(folder: string): string | null {
  const info = readdirSync(folder).find((name) => /^torch-.*\.dist-info$/.test(name));
  const path = info === undefined ? null : join(folder, info, 'METADATA');
  return path !== null && existsSync(path) ? readFileSync(path, 'utf8') : null;
}

function librariesBelow(folder: string): string[] {
  return (readdirSync(folder, { recursive: true }) as string[])
    .filter((path) => /\/lib\/[^/]+\.so(\.[\w.]+)?$/.test(path))
    .sort();
}

/** Renames a whole install into its place; what was there is put back if that fails. */
function place(temporary: string, target: string, incomplete: string): void {
  makeFolder(dirname(target));
  const old = join(incomplete, `${basename(target)}-old-${process.pid}`);
  const replaces = existsSync(target);
  if (replaces) renameSync(target, old);
  try {
    renameSync(temporary, target);
  } catch (error) {
    if (replaces) renameSync(old, target);
    throw error;
  }
  syncFolder(dirname(target));
  rmSync(old, { recursive: true, force: true });
}

/** Removes the wheels that we fetched for what is now installed. */
function tidy(source: Source, store: string): void {
  const ours =
    source.kind === 'wheels' ? source.paths.filter((path) => dirname(path) === store) : [];
  for (const path of ours) rmSync(path, { force: true });
  rmSync(join(store, 'pip'), { recursive: true, force: true });
}
