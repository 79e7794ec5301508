import { refresh } from './context.js';
import {
  type DType,
  dtypeCode,
  dtypeInfo,
  dtypeOfArray,
  integerBounds,
  isFloatingDType,
  type Layout,
  type TypedArray,
  type TypedArrayInput,
} from './dtype.js';
import { ArgumentError, describe } from './errors.js';
import { operator } from './invoke.js';
import { core } from './native.js';
import { requireObject } from './require.js';
import { type Scalar, TypedScalar } from './scalar.js';
import { type Tensor, wrap } from './tensor.js';

/** Nested arrays of equal lengths. */
export type NestedValues = number | bigint | boolean | readonly NestedValues[];

/** What every function takes that makes a tensor. */
export interface TensorOptions {
  dtype?: DType | null;
  layout?: Layout | null;
  /** Such as `cpu` or `cuda:0`. */
  device?: string | null;
  /** On pages of the host that a GPU may copy from at any time. */
  pinMemory?: boolean | null;
  /** Record gradients with respect to it. */
  requiresGrad?: boolean;
  /** A tensor, which has properties of these names, is no options object. */
  handle?: never;
}

/** What `torch.tensor` and its like take by name. */
export interface CreationOptions {
  /**
   * Default: that of a typed array; float32 where numbers are among the values, else int64 where bigints
   * are, bool for booleans alone.
   */
  dtype?: DType;
  /** Default `cpu`. */
  device?: string;
  requiresGrad?: boolean;
  /** Default: that of the nesting, or one dimension for a typed array. */
  shape?: readonly number[];
}

/**
 * A tensor with a copy of the given values. Throws M3L_ARGUMENT for ragged nesting, a wrong shape, or a
 * value that the dtype does not hold: a fraction, NaN or what is out of range for integers.
 */
export function tensor(
  values: NestedValues | TypedArrayInput,
  options: CreationOptions = {},
): Tensor {
  requireObject(options, 'torch.tensor', 'options, such as a dtype');
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
  const parts: readonly ArrayBufferView[] = Array.isArray(bytes) ? [...bytes] : [bytes];
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
  options: TensorOptions = {},
): Tensor {
  requireObject(options, 'torch.full', 'options, such as a dtype');
  const sizes = typeof size === 'number' ? [size] : size;
  const dtype = options.dtype ?? dtypeOf([value]);
  return fullOperator(sizes, signed(value), { ...options, dtype });
}

/** -0 is an integer without a sign to operators, unless it is said to be a float. */
function signed(value: Scalar): Scalar {
  return Object.is(value, -0) ? new TypedScalar([-0]) : value;
}

function dtypeOf(values: readonly unknown[]): DType {
  if (values.some((value) => value instanceof TypedScalar && value.native.length > 1)) {
    return 'complex64';
  }
  if (values.some((value) => typeof value !== 'boolean' && typeof value !== 'bigint')) {
    return 'float32';
  }
  const booleans = values.length > 0 && values.every((value) => typeof value === 'boolean');
  if (booleans) return 'bool';
  return values.length > 0 ? 'int64' : 'float32';
}

function isTypedArray(values: unknown): values is TypedArrayInput {
  return ArrayBuffer.isView(values) && !(values instanceof DataView);
}

/** As many dimensions as libtorch has. */
const DEEPEST = 64;
type Plain = number | bigint | boolean;

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
    if (shape.length > DEEPEST) {
      throw new ArgumentError(
        `torch.tensor: the nesting is deeper than ${DEEPEST}: expected an array of at most so many dimensions that does not hold itself`,
      );
    }
  }
  const flat: Plain[] = [];
  flatten(values, shape, 0, flat);
  const held = holder(wanted ?? dtypeOf(flat));
  const view = new (dtypeInfo(held).array)(flat.length);
  const element = elementOf(held);
  for (let i = 0; i < flat.length; i++) view[i] = element(flat[i]!);
  return { view, held, shape };
}

/** The narrow floats and complex numbers are converted by libtorch from wider ones. */
function holder(dtype: DType): DType {
  if (dtype.startsWith('complex')) return 'float64';
  return isFloatingDType(dtype) && dtype !== 'float64' ? 'float32' : dtype;
}

/** How a value becomes an element of a dtype's array: as JavaScript would, but that nothing changes. */
function elementOf(dtype: DType): (value: Plain) => number | bigint {
  if (isFloatingDType(dtype)) return Number;
  if (dtype === 'bool') return (value) => (value ? 1 : 0);
  const { array } = dtypeInfo(dtype);
  const [least, most] = integerBounds(dtype);
  const refuse = (value: Plain): never => {
    throw new ArgumentError(
      `torch.tensor: found ${value}, expected an integer from ${least} to ${most} for ${dtype}`,
    );
  };
  if (array === BigInt64Array || array === BigUint64Array) {
    return (value) => {
      if (typeof value === 'number' && !Number.isInteger(value)) return refuse(value);
      const integer = BigInt(value);
      return integer < least || integer > most ? refuse(value) : integer;
    };
  }
  const [low, high] = [Number(least), Number(most)];
  return (value) => {
    const integer = Number(value);
    return Number.isInteger(integer) && integer >= low && integer <= high ? integer : refuse(value);
  };
}

function flatten(value: unknown, shape: readonly number[], dim: number, into: Plain[]): void {
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
