/**
 * The native core: found, opened and typed. Loading waits for the first use, so that importing the
 * package (for `m3l doctor`, say) works where libtorch is missing.
 */
import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import type { NativeCore, NativeLoader } from '../../types/core.js';
import {
  messageOf,
  openAddon,
  openFile,
  openingFault,
  requireTorchBuilds,
  type TorchBuild,
  torchBuild,
} from './addon.js';
import { libraryFault } from './elf.js';
import { AddonNotFoundError, LibtorchNotFoundError, M3lError } from './errors.js';
import { versionFault } from './interface-version.js';
import { type Libtorch, libtorchCandidates, openedLibtorch } from './libtorch.js';
import { unpacked } from './unpacked.js';
import { emitWarning } from './warnings.js';

export type {
  Handle,
  NativeCore,
  NativeEvent,
  NativeGenerator,
  NativeMemory,
  NativeResult,
  NativeScript,
  NativeScriptResult,
  OperatorTime,
  StreamNumber,
} from '../../types/core.js';

let inUse: Libtorch | null = null;
const refusals: string[] = [];

/** The core. A stand-in that loads it until then: read it anew at every use, keep no copy. */
export let core: NativeCore = new Proxy({} as NativeCore, {
  get: (_, key) => Reflect.get(loadCore(), key),
});

/** The libtorch in use; loads it when that has not happened yet. */
export function libtorch(): Libtorch {
  loadCore();
  return inUse as Libtorch;
}

/** True once the core was used. */
export function loaded(): boolean {
  return inUse !== null;
}

/** What was tried before the libtorch and the kernels in use, and why it did not do. */
export function passedOver(): readonly string[] {
  return refusals;
}

/**
 * Loads libtorch and the addon once. Another copy of this package in the process may have done so: its
 * libtorch and its kernels are then used, since a process takes either only once.
 *
 * @throws LibtorchNotFoundError
 * @throws AddonNotFoundError
 * @throws M3lError M3L_OTHER_COPY where another copy's kernels are of another version
 */
export function loadCore(): NativeCore {
  if (inUse !== null) return core;
  const { addon: loader } = openAddon<NativeLoader>('m3l_loader');
  requireTorchBuilds();
  const opened = openLibtorch(loader);
  const build = torchBuild(opened.version);
  if (typeof build === 'string') throw new AddonNotFoundError([build]);
  const native = openCore(build.core);
  openKernels(loader, native, opened, build);
  native.setErrorClass(M3lError);
  native.setWarningListener(emitWarning);
  // Spread into a literal: an object with fast properties, where the addon's own may be a dictionary.
  core = { ...native };
  inUse = opened;
  return core;
}

/** Puts another in the place of the core in use, which it gives: for a trace, while it lasts. */
export function replaceCore(other: NativeCore): NativeCore {
  const before = loadCore();
  core = other;
  return before;
}

function openLibtorch(loader: NativeLoader): Libtorch {
  refusals.length = 0;
  const opened = loader.libtorch();
  if (opened !== null) return openedLibtorch(dirname(dirname(opened)));
  for (const candidate of libtorchCandidates(refusals)) {
    try {
      loader.open(unpacked(candidate.library), true);
      return candidate;
    } catch (error) {
      refusals.push(`${candidate.source}: ${candidate.library}: ${openingFault(error)}`);
    }
  }
  throw new LibtorchNotFoundError([...refusals]);
}

/**
 * A module of its own, also where another copy of this package has opened the same file in this thread:
 * handles and the current scope are each copy's.
 */
function openCore(file: string): NativeCore {
  try {
    return openFile<NativeCore>(file, (path) => {
      const module = { exports: {} as NativeCore };
      process.dlopen(module, path);
      return module.exports;
    });
  } catch (error) {
    throw new AddonNotFoundError([messageOf(error)]);
  }
}

/**
 * Registers torch.ops.m3l, unless it is: a library of its own, since Python can load it too. With CUDA
 * where the libtorch has it; where those do not open, as without a driver's library, the CPU's do.
 */
function openKernels(
  loader: NativeLoader,
  native: NativeCore,
  { cuda }: Libtorch,
  build: TorchBuild,
): void {
  const registered = kernelVersion(native);
  if (registered !== undefined) {
    const fault = versionFault(registered);
    if (fault === null) return;
    throw new M3lError(
      'M3L_OTHER_COPY',
      `another copy of m3l in this process has registered its operators: ${fault}, or use one copy only`,
    );
  }
  const faults: string[] = [];
  const withCuda = cuda && existsSync(build.cudaKernels);
  for (const file of [...(withCuda ? [build.cudaKernels] : []), build.kernels]) {
    const fault = openingOperators(loader, file);
    if (fault === null) {
      refusals.push(...faults);
      const difference = versionFault(kernelVersion(native));
      if (difference !== null) throw new AddonNotFoundError([`${file}: ${difference}`]);
      return;
    }
    faults.push(fault);
  }
  throw new AddonNotFoundError(faults);
}

/**
 * Opens the operators of process groups, unless they are, and those of NCCL's where they are asked for,
 * built, and this libtorch has CUDA.
 * @throws AddonNotFoundError
 */
export function openDistributed(nccl: boolean): void {
  loadCore();
  const { addon: loader } = openAddon<NativeLoader>('m3l_loader');
  const { version, cuda } = libtorch();
  const build = torchBuild(version);
  if (typeof build === 'string') throw new AddonNotFoundError([build]);
  const open = (file: string) => {
    const fault = openingOperators(loader, file);
    if (fault !== null) throw new AddonNotFoundError([fault]);
  };
  const registered = (name: string) => isRegistered(`m3l_distributed::${name}`);
  if (!registered('interface_version')) open(build.distributed);
  const difference = versionFault(
    core.call(core.resolve('m3l_distributed::interface_version', '')) as number,
  );
  if (difference !== null) throw new AddonNotFoundError([`${build.distributed}: ${difference}`]);
  const wanted = nccl && cuda && existsSync(build.distributedNccl);
  if (wanted && !registered('nccl_factory')) open(build.distributedNccl);
}

function isRegistered(operator: string): boolean {
  try {
    core.resolve(operator, '');
    return true;
  } catch {
    return false;
  }
}

/** Opens a library of operators; gives why that failed, or null. */
function openingOperators(loader: NativeLoader, file: string): string | null {
  const fault = libraryFault(file);
  if (fault !== null) return `${file} ${fault}`;
  try {
    loader.open(unpacked(file), false);
    return null;
  } catch (error) {
    return `${file}: ${openingFault(error)}`;
  }
}

/** Which version of torch.ops.m3l is registered in the process. */
function kernelVersion(native: NativeCore): number | undefined {
  try {
    return native.call(native.resolve('m3l::interface_version', '')) as number;
  } catch {
    return undefined;
  }
}
