/**
 * The native core: found, opened and typed. Loading waits for the first use, so that importing the
 * package (for `m3l doctor`, say) works where libtorch is missing.
 */
import { existsSync } from 'node:fs';
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
import { type Libtorch, libtorchCandidates } from './libtorch.js';

export type {
  Handle,
  NativeGenerator,
  NativeMemory,
  NativeResult,
  OperatorTime,
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

/** Loads libtorch and the addon once; throws LibtorchNotFoundError or AddonNotFoundError. */
export function loadCore(): NativeCore {
  if (inUse !== null) return core;
  const { addon: loader } = openAddon<NativeLoader>('m3l_loader');
  requireTorchBuilds();
  const opened = openLibtorch(loader);
  const build = torchBuild(opened.version);
  if (typeof build === 'string') throw new AddonNotFoundError([build]);
  const native = openCore(build.core);
  openKernels(loader, opened, build);
  native.setErrorClass(M3lError);
  // Spread into a literal: an object with fast properties, where the addon's own may be a dictionary.
  core = { ...native };
  inUse = opened;
  return core;
}

function openLibtorch(loader: NativeLoader): Libtorch {
  refusals.length = 0;
  for (const candidate of libtorchCandidates(refusals)) {
    try {
      loader.open(candidate.library);
      return candidate;
    } catch (error) {
      refusals.push(`${candidate.source}: ${candidate.library}: ${openingFault(error)}`);
    }
  }
  throw new LibtorchNotFoundError([...refusals]);
}

function openCore(file: string): NativeCore {
  try {
    return openFile<NativeCore>(file);
  } catch (error) {
    throw new AddonNotFoundError([messageOf(error)]);
  }
}

/**
 * Registers torch.ops.m3l: a library of its own, since Python can load it too. With CUDA where the
 * libtorch has it; where those do not open, as without a driver's library, the CPU's do.
 */
function openKernels(loader: NativeLoader, { cuda }: Libtorch, build: TorchBuild): void {
  const withCuda = cuda && existsSync(build.cudaKernels);
  const faults: string[] = [];
  for (const file of [...(withCuda ? [build.cudaKernels] : []), build.kernels]) {
    const fault = libraryFault(file);
    if (fault !== null) {
      faults.push(`${file} ${fault}`);
      continue;
    }
    try {
      loader.open(file);
      refusals.push(...faults);
      return;
    } catch (error) {
      faults.push(`${file}: ${openingFault(error)}`);
    }
  }
  throw new AddonNotFoundError(faults);
}
