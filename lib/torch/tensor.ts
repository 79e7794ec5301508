import type { CompositeMethods } from './composites/methods.js';
import { closeScope, currentId, openScope, refresh } from './context.js';
import { type ToOptions, toOptions } from './conversion.js';
import {
  type DType,
  dtypeCode,
  dtypeInfo,
  dtypeName,
  memoryFormatCode,
  type TypedArray,
} from './dtype.js';
import { ArgumentError, describe, M3lError } from './errors.js';
import type { TensorMethods } from './generated/functions.js';
import { core, type Handle } from './native.js';
import { type NestedNumbers, nest } from './nested.js';
import { requireFunction, requireObject } from './require.js';
import type { SharedTensor } from './sharing.js';
import { noClone, pageFor, trackAlone } from './unscoped.js';

export type { ToOptions } from './conversion.js';
export type { NestedNumbers } from './nested.js';
export type { Scalar } from './scalar.js';

/** See {@link Tensor.backward}. */
export interface BackwardOptions {
  /** Keep the graph for another backward; default: the value of `createGraph`. */
  retainGraph?: boolean;
  /** Record the backward itself, for higher derivatives. */
  createGraph?: boolean;
  /** Accumulate into these leaves only. */
  inputs?: readonly Tensor[];
}

/**
 * A libtorch tensor. The object holds a handle; the values live outside the JavaScript heap until the
 * scope that it was made in ends, or until `dispose()`, or, made outside any scope, until the object
 * is collected. Every operator of ATen with a `self` is a method, in camelCase.
 */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: generated/methods.ts puts these methods on the prototype.
export class Tensor {
  /** What the core knows the tensor by. Stale after `dispose()`. */
  readonly handle: Handle;

  /** Internal: what keeps an unscoped tensor from being released (see unscoped.ts). */
  readonly page: object;

  /** Internal: use the creation functions. */
  constructor(handle: Handle, page: object = noClone) {
    this.handle = handle;
    this.page = page;
  }

  /** Sizes of the dimensions. */
  get shape(): readonly number[] {
    return core.shape(this.handle);
  }

  /** Elements to skip for one step along each dimension. */
  get strides(): readonly number[] {
    return core.strides(this.handle);
  }

  get ndim(): number {
    return core.shape(this.handle).length;
  }

  /** Number of elements. */
  numel(): number {
    return core.numel(this.handle);
  }

  get dtype(): DType {
    return dtypeName(core.dtype(this.handle));
  }

  /** `cpu`, `cuda:0`, … */
  get device(): string {
    return core.device(this.handle);
  }

  /** Bytes of the elements; the storage may be larger. */
  get nbytes(): number {
    return core.nbytes(this.handle);
  }

  get requiresGrad(): boolean {
    return core.requiresGrad(this.handle);
  }

  set requiresGrad(flag: boolean) {
    core.setRequiresGrad(this.handle, flag);
  }

  get isLeaf(): boolean {
    return core.isLeaf(this.handle);
  }

  /** The gradient that `backward` accumulated; each read is a tensor of its own on the same storage. */
  get grad(): Tensor | null {
    refresh();
    return wrapOptional(core.grad(this.handle));
  }

  set grad(gradient: Tensor | null) {
    core.setGrad(this.handle, gradient === null ? null : handleOf(gradient, 'grad', 'gradient'));
  }

  /** The function that computed it, as autograd names it (`AddBackward0`); null of a leaf. */
  get gradFn(): { readonly name: string } | null {
    const name = core.gradFunctionName(this.handle);
    return name === null ? null : { name };
  }

  /**
   * Calls `hook` with each gradient of this tensor that a backward computes; a tensor that it returns
   * takes the gradient's place. What it makes is released after. With `backwardAsync` it is called from
   * the event loop.
   * @returns removes the hook
   * @throws M3lError M3L_NO_GRADIENT where none will come
   */
  registerHook(hook: (gradient: Tensor) => Tensor | null | undefined): () => void {
    requireFunction(hook, 'Tensor.registerHook');
    const number = core.registerHook(this.handle, (exchange) => {
      const scope = openScope();
      try {
        const [gradient] = core.exchangeInputs(exchange);
        const result = hook(wrap(gradient!)) ?? null;
        const given = result === null ? null : handleOf(result, 'registerHook', "hook's result");
        core.exchangeResults(exchange, [given]);
      } finally {
        closeScope(scope);
      }
    });
    return () => {
      if (this.isLive) core.removeHook(this.handle, number);
    };
  }

  /** False after `dispose()` or the end of the scope. */
  get isLive(): boolean {
    return core.isLive(this.handle);
  }

  /** Counts in-place writes: autograd compares it. */
  get version(): number {
    return core.version(this.handle);
  }

  /** Releases the values now; a second call does nothing. */
  dispose(): void {
    core.dispose(this.handle);
  }

  [Symbol.dispose](): void {
    core.dispose(this.handle);
  }

  /** Length of a dimension (negative: from the end), or all of them. */
  size(): readonly number[];
  size(dim: number): number;
  size(dim?: number): number | readonly number[] {
    const shape = core.shape(this.handle);
    if (dim === undefined) return shape;
    const length = Number.isInteger(dim) ? shape.at(dim) : undefined;
    if (length !== undefined) return length;
    throw new ArgumentError(
      `Tensor.size: dim is ${String(dim)}, expected an integer from ${-shape.length} to ${shape.length - 1} for shape [${shape}]`,
    );
  }

  /** The value of a one-element tensor as a number; int64 is rounded beyond 2^53, bool is 0 or 1. */
  item(): number {
    const numel = core.numel(this.handle);
    if (numel !== 1) {
      throw new M3lError(
        'M3L_NOT_A_SCALAR',
        `Tensor.item: the tensor has ${numel} elements (shape [${this.shape}]), expected 1. Use toArray() or reduce it first.`,
      );
    }
    return Number(core.item(this.handle));
  }

  /**
   * A flat copy of the values in row-major order: int64 as BigInt64Array, bool as Uint8Array, float16
   * and bfloat16 as their bits in a Uint16Array, complex numbers as pairs.
   * @throws M3lError M3L_OUT_OF_MEMORY where JavaScript has no array of that size
   */
  toTypedArray(): TypedArray {
    return core.toBuffer(this.handle) ?? largeCopy(this);
  }

  /** As `toTypedArray`, copied on another thread, which also waits for a device if it must. */
  async toTypedArrayAsync(): Promise<TypedArray> {
    const values = allocate(this.nbytes, this.dtype);
    await core.copyToAsync(this.handle, values);
    return values;
  }

  /** Copies the values into `view`, which must have exactly their number of bytes. */
  copyInto(view: ArrayBufferView): void {
    core.copyTo(this.handle, view);
  }

  /** The values as nested arrays of numbers; int64 is rounded beyond 2^53, bool is 0 or 1. */
  toArray(): NestedNumbers {
    const { dtype, shape } = this;
    if (dtype.startsWith('complex')) {
      throw new ArgumentError(
        `Tensor.toArray: dtype is ${dtype}, expected real numbers. Use viewAsReal(x).toArray().`,
      );
    }
    return nest(flatNumbers(this, dtype), shape, 0, { at: 0 });
  }

  /**
   * Gradients of this tensor with respect to the leaves that it came from, added to their `grad`.
   * `gradient` has this tensor's shape and may be left out for a single element.
   */
  backward(gradient?: Tensor | null, options: BackwardOptions = {}): void {
    core.backward(...this.#backwardArguments(gradient, options, 'backward'));
  }

  /**
   * As `backward`, on another thread: the event loop goes on. Gradients are there when it resolves; the
   * parameters must not be written before.
   */
  async backwardAsync(gradient?: Tensor | null, options: BackwardOptions = {}): Promise<void> {
    await core.backwardAsync(...this.#backwardArguments(gradient, options, 'backwardAsync'));
  }

  #backwardArguments(
    gradient: Tensor | null | undefined,
    options: BackwardOptions,
    name: string,
  ): Parameters<typeof core.backward> {
    requireObject(options, `Tensor.${name}`, 'options, such as { retainGraph: true }');
    const { createGraph = false, retainGraph = createGraph, inputs = [] } = options;
    const seed = gradient ? handleOf(gradient, name, 'gradient') : null;
    const leaves = inputs.map((input) => handleOf(input, name, 'inputs'));
    return [[this.handle], [seed], retainGraph, createGraph, leaves];
  }

  /** Turns the recording of this leaf's gradient on or off. */
  requiresGrad_(flag = true): this {
    core.setRequiresGrad(this.handle, flag);
    return this;
  }

  /**
   * The same values in another dtype, on another device or in another memory format; this very tensor's
   * memory where nothing changes.
   * @throws ArgumentError for a name that is none of these, or an option that `to` does not have
   */
  to(target: DType | ToOptions | Tensor | (string & {}), options?: ToOptions): Tensor;
  to(
    target: DType | Tensor | (string & {}),
    nonBlocking: boolean,
    copy?: boolean | ToOptions,
    options?: ToOptions,
  ): Tensor;
  to(device: string, dtype: DType, options?: ToOptions): Tensor;
  to(
    device: string,
    dtype: DType,
    nonBlocking: boolean,
    copy?: boolean | ToOptions,
    options?: ToOptions,
  ): Tensor;
  to(target: unknown, ...rest: unknown[]): Tensor {
    const first =
      target instanceof Tensor ? { dtype: target.dtype, device: target.device } : target;
    const { device, memoryFormat, nonBlocking, copy, ...options } = toOptions([first, ...rest]);
    refresh();
    return wrap(
      core.call(
        toOperator(),
        this.handle,
        options.dtype === undefined ? undefined : dtypeCode(options.dtype),
        undefined,
        device,
        undefined,
        nonBlocking,
        copy,
        memoryFormat === undefined ? undefined : memoryFormatCode(memoryFormat),
      ) as Handle,
    );
  }

  cpu(): Tensor {
    return this.to({ device: 'cpu' });
  }

  /**
   * Makes the tensor ready for another thread, which gets it by `torch.receive`: the same memory, without
   * its graph. It is kept until it is received: share nothing that nobody receives.
   */
  share(): SharedTensor {
    return { sharedTensor: core.share(this.handle) };
  }

  /** True where both tensors read and write the same memory. */
  sameStorage(other: Tensor): boolean {
    return core.sameStorage(this.handle, handleOf(other, 'sameStorage', 'other'));
  }

  /** What `JSON.stringify` writes: as `toArray`. NaN and infinities have no JSON and become null. */
  toJSON(): NestedNumbers {
    return this.toArray();
  }

  /** As PyTorch prints it; see `torch.setPrintOptions`. Never throws. */
  toString(): string {
    return printed(this);
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString();
  }
}

export interface Tensor extends TensorMethods, CompositeMethods {}

let printed: (tensor: Tensor) => string = ({ handle }) => `tensor(${handle})`;

/** Internal: printing needs the operators, which need this file. */
export function setPrinter(printer: (tensor: Tensor) => string): void {
  printed = printer;
}

/** A handle that the core just returned as a Tensor; one outside any scope is tracked. */
export function wrap(handle: Handle): Tensor {
  if (currentId !== 0) return new Tensor(handle);
  if (handle > 0) return new Tensor(handle, pageFor(handle));
  const tensor = new Tensor(-handle);
  trackAlone(tensor, -handle);
  return tensor;
}

/** The tensor that an operator has written: by now it may keep much, such as a graph. */
export function written<T>(tensor: T, result: unknown): T {
  if ((result as number) < 0) trackAlone(tensor as object, -(result as number));
  return tensor;
}

export function wrapOptional(handle: Handle | null | undefined): Tensor | null {
  return handle === null || handle === undefined ? null : wrap(handle);
}

/** The handle of an argument that must be a Tensor. */
export function handleOf(value: unknown, operator: string, argument: string): Handle {
  if (value instanceof Tensor) return value.handle;
  throw new ArgumentError(
    `${operator}: argument '${argument}' must be a Tensor, found ${describe(value)}`,
  );
}

let toOperatorId = -1;
function toOperator(): number {
  if (toOperatorId < 0) toOperatorId = core.resolve('aten::to', 'dtype_layout');
  return toOperatorId;
}

function largeCopy(tensor: Tensor): TypedArray {
  const values = allocate(tensor.nbytes, tensor.dtype);
  core.copyTo(tensor.handle, values);
  return values;
}

function allocate(bytes: number, dtype: DType): TypedArray {
  try {
    return new (dtypeInfo(dtype).array)(new ArrayBuffer(bytes));
  } catch (cause) {
    throw new M3lError(
      'M3L_OUT_OF_MEMORY',
      `Tensor.toTypedArray: JavaScript has no memory for ${bytes} bytes of ${dtype} in one array. Read it in parts: x.narrow(0, start, count).toTypedArray().`,
      { cause },
    );
  }
}

/** Values as numbers, whatever the dtype; the narrow floats go through float32. */
function flatNumbers(tensor: Tensor, dtype: DType): ArrayLike<number | bigint> {
  const narrow = dtype.startsWith('float') && dtypeInfo(dtype).size < 4;
  if (!narrow && dtype !== 'bfloat16') return tensor.toTypedArray();
  const wide = tensor.to('float32');
  try {
    return wide.toTypedArray();
  } finally {
    wide.dispose();
  }
}
