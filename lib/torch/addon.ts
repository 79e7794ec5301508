/** Where the native files lie, and how an addon is opened. Nothing here needs libtorch. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { libraryFault } from './elf.js';
import { AddonNotFoundError } from './errors.js';
import { nativePackage, packageFolder, packageVersion } from './installation.js';
import { versionFault } from './interface-version.js';
import { readingForbidden } from './permission.js';

const require = createRequire(import.meta.url);

interface NodeGypBuild {
  /** The .node file below root/prebuilds that this runtime, platform and libc take; throws where none is. */
  path(root: string): string;
}

/** Or why it does not load. */
let nodeGypBuild: NodeGypBuild | string | undefined;

/** The core for one minor of libtorch, and the kernels beside it in the order to try them. */
export interface TorchBuild {
  readonly core: string;
  /** Or the file that M3L_KERNELS names: the tests run other builds of the same operators. */
  readonly kernels: string;
  /** The kernels with CUDA; they may not be there. */
  readonly cudaKernels: string;
  /** The process groups, and what NCCL's are made by; the latter may not be there. */
  readonly distributed: string;
  readonly distributedNccl: string;
}

/** A folder of node-gyp-build roots, or (M3L_ADDON_DIR only) one with the files directly in it. */
interface NativeFolder {
  readonly folder: string;
  readonly mayBeFlat: boolean;
}

/**
 * Opens `name`.node from the first native folder that has one that loads: M3L_ADDON_DIR, what a clone
 * built, the package of prebuilt files.
 * @throws AddonNotFoundError
 */
export function openAddon<Addon extends { interfaceVersion: number }>(
  name: 'm3l_loader' | 'm3l_image',
): { addon: Addon; file: string } {
  const refusals: string[] = [];
  const absent: string[] = [];
  for (const native of nativeFolders(absent)) {
    const file = findAddon(native, name.replace('m3l_', ''), name);
    const forbidden = readingForbidden(native.folder);
    if (forbidden !== null) refusals.push(forbidden);
    else if (typeof nodeGypBuild === 'string') refusals.push(nodeGypBuild);
    else if (file === null) refusals.push(`${native.folder} holds no ${name}.node`);
    else {
      try {
        return { addon: openFile<Addon>(file, (path) => require(path) as Addon), file };
      } catch (error) {
        refusals.push(messageOf(error));
      }
    }
  }
  throw new AddonNotFoundError([...refusals, ...absent]);
}

/**
 * Loads a .node file by `load`; throws an error whose message names the file and what is wrong with it.
 */
export function openFile<Addon extends { interfaceVersion: number }>(
  file: string,
  load: (file: string) => Addon,
): Addon {
  const fault = libraryFault(file);
  if (fault !== null) throw new Error(`${file} ${fault}`);
  let addon: Addon;
  try {
    addon = load(file);
  } catch (error) {
    throw new Error(`${file}: ${openingFault(error)}`);
  }
  const difference = versionFault(addon.interfaceVersion);
  if (difference !== null) throw new Error(`${file}: ${difference}`);
  return addon;
}

/** @throws AddonNotFoundError where nothing was built for any libtorch. */
export function requireTorchBuilds(): void {
  const absent: string[] = [];
  const folders = nativeFolders(absent);
  if (builtMinors().length > 0 || folders.some(isFlat)) return;
  const empty = folders.map(({ folder }) => `${folder} holds no torch-*/ with an m3l_core.node`);
  throw new AddonNotFoundError([...empty, ...absent]);
}

/**
 * What was built for the minor of `version` ('2.13' of '2.13.0+cpu'), from the first native folder
 * that has it, or a sentence that says what there is instead.
 */
export function torchBuild(version: string | null): TorchBuild | string {
  const minor = version === null ? null : minorOf(version);
  const folders = nativeFolders([]);
  for (const native of folders) {
    const core = isFlat(native)
      ? join(native.folder, 'm3l_core.node')
      : minor && findAddon(native, `torch-${minor}`, 'm3l_core');
    if (!core) continue;
    const beside = (name: string) => join(dirname(core), name);
    const named = process.env.M3L_KERNELS;
    return {
      core,
      kernels: named || beside('m3l_kernels.so'),
      cudaKernels: named || beside('m3l_kernels_cuda.so'),
      distributed: beside('m3l_distributed.so'),
      distributedNccl: beside('m3l_distributed_nccl.so'),
    };
  }
  if (minor === null) return 'it does not say its version (version.py or build-version is missing)';
  const built = builtMinors();
  if (built.length === 0) return 'there is no build of m3l for any libtorch';
  return `there are builds of m3l for libtorch ${built.join(', ')}, none for ${minor}`;
}

/** The minors of libtorch that there are builds for: ['2.13', '2.14']. */
export function builtMinors(): string[] {
  const minors = nativeFolders([]).flatMap((native) => {
    if (readingForbidden(native.folder) !== null || !existsSync(native.folder)) return [];
    return readdirSync(native.folder)
      .map((entry) => /^torch-(\d+\.\d+)$/.exec(entry)?.[1] ?? '')
      .filter((minor) => minor !== '' && findAddon(native, `torch-${minor}`, 'm3l_core'));
  });
  return [...new Set(minors)].sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
}

/**
 * The folders to look in; why one that could be there is none is added to `refusals`.
 */
export function nativeFolders(refusals: string[]): NativeFolder[] {
  const named = process.env.M3L_ADDON_DIR;
  const prebuilt = packagedFolder(refusals);
  return [
    ...(named ? [{ folder: named, mayBeFlat: true }] : []),
    { folder: join(packageFolder, 'build', 'native'), mayBeFlat: false },
    ...(prebuilt === null ? [] : [{ folder: prebuilt, mayBeFlat: false }]),
  ];
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Why a file did not open, in a sentence where Node's or the system's own words say too little. */
export function openingFault(error: unknown): string {
  const message = messageOf(error);
  const code = (error as NodeJS.ErrnoException | null)?.code;
  if (code === 'ERR_DLOPEN_DISABLED') {
    return "Node's permission model forbids addons (--allow-addons)";
  }
  if (/GLIBC(XX)?_[\d.]+' not found/.test(message)) {
    return `${message}: this Linux is older than the prebuilt files need`;
  }
  return message;
}

function minorOf(version: string): string {
  return version.split('.', 2).join('.');
}

function packagedFolder(refusals: string[]): string | null {
  let manifest: string;
  try {
    manifest = require.resolve(`${nativePackage}/package.json`);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    refusals.push(
      code === 'MODULE_NOT_FOUND'
        ? `the package ${nativePackage} is not installed`
        : `the package ${nativePackage}: ${messageOf(error)}`,
    );
    return null;
  }
  const { version } = JSON.parse(readFileSync(manifest, 'utf8')) as { version?: string };
  const own = packageVersion();
  if (version === own) return dirname(manifest);
  refusals.push(
    own === null
      ? `m3l was bundled into ${fileURLToPath(import.meta.url)}, its files are not beside it`
      : `the package ${nativePackage} is version ${version}, m3l is ${own}: they go together`,
  );
  return null;
}

/** A root's .node file, or null. */
function findAddon({ folder, mayBeFlat }: NativeFolder, root: string, name: string): string | null {
  if (readingForbidden(folder) !== null) return null;
  const flat = join(folder, `${name}.node`);
  if (mayBeFlat && existsSync(flat)) return flat;
  const found = join(folder, root);
  nodeGypBuild ??= loadNodeGypBuild();
  if (typeof nodeGypBuild === 'string') return null;
  try {
    const file = nodeGypBuild.path(found);
    // It also looks beside the Node binary, where another's may lie.
    return file.startsWith(found) ? file : null;
  } catch {
    return null;
  }
}

function loadNodeGypBuild(): NodeGypBuild | string {
  const given = process.env.LIBC;
  // It asks for this file when it is loaded, unless LIBC says which libc there is.
  if (!given && readingForbidden('/etc/alpine-release') !== null) process.env.LIBC = 'glibc';
  try {
    return require('node-gyp-build') as NodeGypBuild;
  } catch (error) {
    const [reason] = messageOf(error).split('\n');
    return `the package node-gyp-build, which finds the files, does not load: ${reason}`;
  } finally {
    if (given === undefined) delete process.env.LIBC;
  }
}

/** Whether the core lies directly in the folder, for whatever libtorch. */
function isFlat({ folder, mayBeFlat }: NativeFolder): boolean {
  if (!mayBeFlat || readingForbidden(folder) !== null) return false;
  return existsSync(join(folder, 'm3l_core.node'));
}
