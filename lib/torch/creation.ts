import { refresh } from './context.js';
import {
  type DType,
  dtypeCode,
  dtypeInfo,
  dtypeOfArray,
  isFloatingDType,
  type TypedArray,
  type TypedArrayInput,
} from './dtype.js';
import { ArgumentError, describe } from './errors.js';
import type { TensorOptions } from './generated/options.js';
import { operator } from './invoke.js';
import { core } from './native.js';
import { type Scalar, type Tensor, wrap } from './tensor.js';

/** Nested arrays of equal lengths. */
export type NestedValues = Scalar | readonly NestedValues[];

export interface CreationOptions {
  /** Default: that of a typed array; float32 for numbers, int64 for bigints, bool for booleans. */
  dtype?: DType;
  /** Default `cpu`. */
  device?: string;
  requiresGrad?: boolean;
  /** Default: that of the nesting, or one dimension for a typed array. */
  shape?: readonly number[];
}

/** A tensor with a copy of the given values. Throws M3L_ARGUMENT for ragged nesting or a wrong shape. */
export function tensor(
  values: NestedValues | TypedArrayInput,
  options: CreationOptions = {},
): Tensor {
  const { device = 'cpu', requiresGrad = false } = options;
  const { view, held, shape } = isTypedArray(values)
    ? { view: values, held: dtypeOfArray(values), shape: [values.length] }
    : fromNested(values, options.dtype);
  const wanted = options.dtype ?? held;
  const sizes = options.shape ?? shape;
  const count = sizes.reduce((product, size) => product * size, 1);
  if (count !== view.length || !sizes.every((size) => Number.isInteger(size) && size >= 0)) {
    throw new ArgumentError(
      `torch.tensor: shape [${sizes}] has ${count} elements, but ${view.length} values were given`,
    );
  }
  refresh();
  let result = wrap(core.fromBuffer(view, dtypeCode(held), sizes));
  if (wanted !== held || device !== 'cpu') {
    const source = result;
    result = source.to({ dtype: wanted, device });
    source.dispose();
  }
  return requiresGrad ? result.requiresGrad_() : result;
}

/**
 * A tensor from raw bytes: those of `dtype` in row-major order, so that float16 and bfloat16 come in as
 * bits. Several arrays are joined, each copied once and by this thread alone: beside a loader's threads
 * those of libtorch would only wait for a core. Throws M3L_ARGUMENT where the number of bytes is not
 * that of the shape.
 */
export function fromBytes(
  bytes: ArrayBufferView | readonly ArrayBufferView[],
  dtype: DType,
  shape?: readonly number[],
): Tensor {
  const parts: readonly ArrayBufferView[] = Array.isArray(bytes) ? bytes : [bytes];
  for (const part of parts) {
    if (ArrayBuffer.isView(part)) continue;
    throw new ArgumentError(
      `torch.fromBytes: expected typed arrays, found ${describe(part)}; wrap an ArrayBuffer in one`,
    );
  }
  const { size } = dtypeInfo(dtype);
  const found = parts.reduce((sum, part) => sum + part.byteLength, 0);
  if (!shape && found % size !== 0) {
    throw new ArgumentError(
      `torch.fromBytes: found ${found} bytes, expected a multiple of the ${size} of ${dtype}`,
    );
  }
  const sizes = shape ?? [found / size];
  const expected = sizes.reduce((product, count) => product * count, size);
  if (found !== expected) {
    throw new ArgumentError(
      `torch.fromBytes: ${dtype} of shape [${sizes}] takes ${expected} bytes, found ${found}`,
    );
  }
  refresh();
  return wrap(core.fromBuffer(parts, dtypeCode(dtype), sizes));
}

const fullOperator =
  operator<(size: readonly number[], value: Scalar, options: TensorOptions) => Tensor>('full');

/** A tensor of one value. Without a dtype: float32 for a number, int64 for a bigint, bool for a boolean. */
export function full(
  size: number | readonly number[],
  value: Scalar,
  options: TensorOptions & { requiresGrad?: boolean } = {},
): Tensor {
  const { requiresGrad = false, ...rest } = options;
  const sizes = typeof size === 'number' ? [size] : size;
  const result = fullOperator(sizes, value, { ...rest, dtype: rest.dtype ?? dtypeOf(value) });
  return requiresGrad ? result.requiresGrad_() : result;
}

function dtypeOf(value: unknown): DType {
  if (typeof value === 'boolean') return 'bool';
  return typeof value === 'bigint' ? 'int64' : 'float32';
}

function isTypedArray(values: unknown): values is TypedArrayInput {
  return ArrayBuffer.isView(values) && !(values instanceof DataView);
}

interface Flat {
  view: TypedArray;
  /** dtype of `view`; the wanted one where JavaScript has an array of it, else one that converts to it. */
  held: DType;
  shape: number[];
}

function fromNested(values: NestedValues, wanted: DType | undefined): Flat {
  const shape: number[] = [];
  for (let level: unknown = values; Array.isArray(level); level = level[0]) {
    shape.push(level.length);
  }
  const flat: Scalar[] = [];
  flatten(values, shape, 0, flat);
  const held = holder(wanted ?? dtypeOf(flat[0]));
  const { array } = dtypeInfo(held);
  const view = new array(flat.length);
  const bigints = view instanceof BigInt64Array || view instanceof BigUint64Array;
  for (let i = 0; i < flat.length; i++) {
    view[i] = bigints ? toBigInt(flat[i]!) : Number(flat[i]);
  }
  return { view, held, shape };
}

/** The narrow floats and complex numbers are converted by libtorch from wider ones. */
function holder(dtype: DType): DType {
  if (dtype.startsWith('complex')) return 'float64';
  return isFloatingDType(dtype) && dtype !== 'float64' ? 'float32' : dtype;
}

function toBigInt(value: Scalar): bigint {
  if (typeof value === 'number' && !Number.isInteger(value)) {
    throw new ArgumentError(`torch.tensor: found ${value}, expected an integer for this dtype`);
  }
  return BigInt(value);
}

function flatten(value: unknown, shape: readonly number[], dim: number, into: Scalar[]): void {
  if (dim < shape.length) {
    if (!Array.isArray(value) || value.length !== shape[dim]) {
      throw new ArgumentError(
        `torch.tensor: ragged nesting: found ${describe(value)} in dimension ${dim}, expected an array of ${shape[dim]}`,
      );
    }
    for (const item of value) flatten(item, shape, dim + 1, into);
    return;
  }
  if (typeof value !== 'number' && typeof value !== 'boolean' && typeof value !== 'bigint') {
    throw new ArgumentError(
      `torch.tensor: found ${describe(value)}, expected a number, a bigint or a boolean`,
    );
  }
  into.push(value);
}
