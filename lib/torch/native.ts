/**
 * The native core: found, opened and typed. Loading waits for the first use, so that importing the
 * package (for `m3l doctor`, say) works where libtorch is missing.
 */
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { messageOf, openAddon } from './addon.js';
import type { TypedArray } from './dtype.js';
import { AddonNotFoundError, LibtorchNotFoundError, M3lError } from './errors.js';
import { type Libtorch, libtorchCandidates } from './libtorch.js';

/** Slot and generation of a native tensor; never reused, so a stale one is an error. */
export type Handle = number;
/** A random generator of the core; opaque. */
export type NativeGenerator = object;
/** What an operator returns before it is wrapped. */
export type NativeResult = number | bigint | boolean | string | null | undefined | NativeResult[];

export interface NativeMemory {
  tensors: number;
  bytes: number;
  scopes: number;
  tracked: number;
  bytesByDevice: Record<string, number>;
}

/** What a profile says of the operators of one name (and of one set of sizes). */
export interface OperatorTime {
  /** `aten::add`, `m3l::linear`, `MmBackward0` … */
  name: string;
  /** Those of the tensor arguments, `[4, 64] [64, 32]`; empty unless asked for. */
  sizes: string;
  calls: number;
  /** Milliseconds spent in it, without the operators it called, and with them. */
  selfMs: number;
  totalMs: number;
}

export interface NativeCore {
  setErrorClass(errorClass: new (code: string, message: string) => Error): void;
  operators(): string[];
  resolve(name: string, overload: string): number;
  schema(operator: number): string;
  call(operator: number, ...args: unknown[]): NativeResult;

  scopeOpen(): number;
  scopeEnter(scope: number): number;
  scopeClose(scope: number): void;
  scopeMove(handle: Handle, scope: number): void;
  scopeOf(handle: Handle): number;
  track(owner: object, handle: Handle): void;
  /** One weak reference for all of `handles[0 .. count)`, whose tensors all hold `page`. */
  trackPage(page: object, handles: Float64Array, count: number): void;
  /** Gives the element that the core sets to 1 when it makes a large unscoped tensor. */
  shareLarge(flag: Uint32Array): void;
  sweep(): number;
  dispose(handle: Handle): boolean;
  isLive(handle: Handle): boolean;

  /** Several views are joined. */
  fromBuffer(
    views: ArrayBufferView | readonly ArrayBufferView[],
    dtype: number,
    shape: readonly number[],
  ): Handle;
  toBuffer(handle: Handle): TypedArray;
  copyTo(handle: Handle, view: ArrayBufferView): void;
  item(handle: Handle): number | boolean | bigint;
  shape(handle: Handle): number[];
  strides(handle: Handle): number[];
  numel(handle: Handle): number;
  dtype(handle: Handle): number;
  device(handle: Handle): string;
  storageOffset(handle: Handle): number;
  nbytes(handle: Handle): number;
  version(handle: Handle): number;
  alias(handle: Handle): Handle;
  sameStorage(a: Handle, b: Handle): boolean;

  requiresGrad(handle: Handle): boolean;
  setRequiresGrad(handle: Handle, flag: boolean): void;
  isLeaf(handle: Handle): boolean;
  grad(handle: Handle): Handle | null;
  setGrad(handle: Handle, grad: Handle | null): void;
  backward(
    roots: Handle[],
    gradients: (Handle | null)[],
    retainGraph: boolean,
    createGraph: boolean,
    inputs: Handle[],
  ): void;
  gradients(
    outputs: Handle[],
    inputs: Handle[],
    gradOutputs: (Handle | null)[],
    retainGraph: boolean,
    createGraph: boolean,
    allowUnused: boolean,
  ): (Handle | null)[];
  setGradEnabled(flag: boolean): boolean;
  isGradEnabled(): boolean;
  inferencePush(flag: boolean): void;
  inferencePop(): void;
  isInferenceMode(): boolean;

  autocastPush(device: string, dtype: number): void;
  autocastPop(): void;
  isAutocastEnabled(device: string): boolean;
  setTf32(allowed: boolean): void;

  startProfile(sizes: boolean): void;
  stopProfile(): OperatorTime[];

  manualSeed(seed: number | bigint): void;
  newGenerator(device: string): NativeGenerator;
  generatorSeed(generator: NativeGenerator | null, seed: number | bigint): void;
  generatorState(generator: NativeGenerator | null): Handle;
  setGeneratorState(generator: NativeGenerator | null, state: Handle): void;
  initialSeed(generator: NativeGenerator | null): bigint;

  setNumThreads(count: number): void;
  getNumThreads(): number;
  setInteropThreads(count: number): void;
  getInteropThreads(): number;
  memory(): NativeMemory;
  cudaAvailable(): boolean;
  cudaDeviceCount(): number;
  cudaSynchronize(device: string): void;
  cudaMemory(device: string): { allocated: number; reserved: number };
  emptyCache(): void;
  buildVersion(): string;
  config(): string;
}

interface Loader {
  open(path: string): void;
}

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
  const { folder, addon: loader } = openAddon<Loader>('m3l_loader');
  const opened = openLibtorch(loader);
  const native = openCore(folder);
  openKernels(loader, folder);
  native.setErrorClass(M3lError);
  // Spread into a literal: an object with fast properties, where the addon's own may be a dictionary.
  core = { ...native };
  inUse = opened;
  return core;
}

function openLibtorch(loader: Loader): Libtorch {
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
function openKernels(loader: Loader, folder: string): void {
  const file = join(folder, 'm3l_kernels.so');
  try {
    loader.open(file);
  } catch (error) {
    throw new AddonNotFoundError([`${file}: ${messageOf(error)}`]);
  }
}
