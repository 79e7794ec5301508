/**
 * The native core: found, opened and typed. Loading waits for the first use, so that importing the
 * package (for `m3l doctor`, say) works where libtorch is missing.
 */
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { NativeCore, NativeLoader } from '../../types/core.js';
import { messageOf, openAddon } from './addon.js';
import { AddonNotFoundError, LibtorchNotFoundError, M3lError } from './errors.js';
import { type Libtorch, libtorchCandidates } from './libtorch.js';

export type {
  Handle,
  NativeGenerator,
  NativeMemory,
  NativeResult,
  OperatorTime,
} from '../../types/core.js';

const require = createRequire(import.meta.url);
let inUse: Libtorch | null = null;

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

/** Loads libtorch and the addon once; throws LibtorchNotFoundError or AddonNotFoundError. */
export function loadCore(): NativeCore {
  if (inUse !== null) return core;
  const { folder, addon: loader } = openAddon<NativeLoader>('m3l_loader');
  const opened = openLibtorch(loader);
  const native = openCore(folder);
  openKernels(loader, folder);
  native.setErrorClass(M3lError);
  // Spread into a literal: an object with fast properties, where the addon's own may be a dictionary.
  core = { ...native };
  inUse = opened;
  return core;
}

function openLibtorch(loader: NativeLoader): Libtorch {
  const refusals: string[] = [];
  for (const candidate of libtorchCandidates(refusals)) {
    try {
      loader.open(candidate.library);
      return candidate;
    } catch (error) {
      refusals.push(`${candidate.source}: ${dirname(candidate.library)}: ${messageOf(error)}`);
    }
  }
  throw new LibtorchNotFoundError(refusals);
}

function openCore(folder: string): NativeCore {
  const file = join(folder, 'm3l_core.node');
  try {
    return require(file) as NativeCore;
  } catch (error) {
    throw new AddonNotFoundError([`${file}: ${messageOf(error)}`]);
  }
}

/** Registers torch.ops.m3l: a library of its own, since Python can load it too. */
function openKernels(loader: NativeLoader, folder: string): void {
  const file = join(folder, 'm3l_kernels.so');
  try {
    loader.open(file);
  } catch (error) {
    throw new AddonNotFoundError([`${file}: ${messageOf(error)}`]);
  }
}
