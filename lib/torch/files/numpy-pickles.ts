/** NumPy's numbers and arrays in pickles, as training scripts leave them beside the weights. */
import { fromBytes } from '../creation.js';
import { type DType, dtypeInfo } from '../dtype.js';
import type { M3lError } from '../errors.js';
import { TypedScalar } from '../scalar.js';
import { scope } from '../scope.js';
import type { Tensor } from '../tensor.js';
import { dtypeOfKind, numpyRefusal } from './numpy-dtypes.js';
import { PyTuple } from './pickle-values.js';
import { swapBytes, wordSize } from './tensor-bytes.js';

type Fail = (reason: string) => M3lError;
type Call = (args: readonly unknown[]) => unknown;

/** `numpy.dtype`: its byte order comes as state. */
class NumpyDType {
  bigEndian = false;
  constructor(readonly dtype: DType) {}

  build(state: unknown): void {
    this.bigEndian = state instanceof PyTuple && state.items[1] === '>';
  }

  /** Bytes in the order of this machine. */
  native(bytes: Uint8Array): Uint8Array {
    if (!this.bigEndian) return bytes;
    const copy = bytes.slice();
    swapBytes(copy, wordSize(this.dtype));
    return copy;
  }
}

/** `numpy.ndarray`: made empty, then given its state. */
class NumpyArray {
  readonly pending = true;
  #make: (() => Tensor) | null = null;
  #tensor: Tensor | null = null;

  constructor(private readonly fail: Fail) {}

  build(state: unknown): void {
    const [, shape, type, fortran, data] = state instanceof PyTuple ? state.items : [];
    const sizes = shape instanceof PyTuple ? shape.items : null;
    if (!sizes?.every((size) => Number.isSafeInteger(size) && (size as number) >= 0)) {
      throw this.fail('it has an array of NumPy without a shape');
    }
    if (!(type instanceof NumpyDType)) throw this.fail('it has an array of NumPy without a dtype');
    const bytes = typeof data === 'string' ? Buffer.from(data, 'latin1') : data;
    const { dtype } = type;
    const expected = (sizes as number[]).reduce((a, b) => a * b, dtypeInfo(dtype).size);
    if (!(bytes instanceof Uint8Array) || bytes.length !== expected || sizes.length > 64) {
      throw this.fail(`it has an array of NumPy of shape [${sizes}] without its ${expected} bytes`);
    }
    this.#make = () => arrayOf(type.native(bytes), dtype, sizes as number[], fortran === true);
  }

  value(): Tensor {
    if (this.#make === null) throw this.fail('it has an array of NumPy without values');
    this.#tensor ??= this.#make();
    return this.#tensor;
  }
}

/** A tensor of values in C or Fortran order: then with its strides. */
export function arrayOf(
  bytes: Uint8Array,
  dtype: DType,
  shape: readonly number[],
  fortran: boolean,
): Tensor {
  if (!fortran || shape.length < 2) return fromBytes(bytes, dtype, shape);
  return scope(() => reversed(fromBytes(bytes, dtype, [...shape].reverse())));
}

/** The dimensions in the reverse order: the same memory. */
export function reversed(tensor: Tensor): Tensor {
  return tensor.permute(tensor.shape.map((_, dim) => dim).reverse());
}

export function numpyGlobals(fail: Fail): Record<string, Call> {
  const scalar: Call = ([type, data]) => {
    if (!(type instanceof NumpyDType)) throw fail('it has a number of NumPy without a dtype');
    const bytes = typeof data === 'string' ? new Uint8Array(Buffer.from(data, 'latin1')) : data;
    if (bytes instanceof Uint8Array && bytes.length === dtypeInfo(type.dtype).size) {
      return numberOf(type.native(bytes), type.dtype);
    }
    throw fail('it has a number of NumPy without its bytes');
  };
  const dtype: Call = ([kind]) => {
    const known = typeof kind === 'string' ? dtypeOfKind(kind.replace(/^[<|=]/, '')) : undefined;
    if (known !== undefined) return new NumpyDType(known);
    throw fail(`it has ${numpyRefusal(String(kind))}`);
  };
  const reconstruct: Call = () => new NumpyArray(fail);
  const fromBuffer: Call = ([data, type, shape, order]) => {
    const array = new NumpyArray(fail);
    array.build(new PyTuple([1, shape, type, order === 'F', data]));
    return array;
  };
  return {
    'numpy.dtype': dtype,
    'numpy.ndarray': reconstruct,
    ...Object.fromEntries(
      ['numpy.core.multiarray', 'numpy._core.multiarray'].flatMap((module) => [
        [`${module}.scalar`, scalar],
        [`${module}._reconstruct`, reconstruct],
      ]),
    ),
    'numpy.core.numeric._frombuffer': fromBuffer,
    'numpy._core.numeric._frombuffer': fromBuffer,
  };
}

function numberOf(bytes: Uint8Array, dtype: DType): unknown {
  if (dtype === 'bool') return bytes[0] !== 0;
  const own = bytes.slice();
  const values = scope(() => {
    const tensor = fromBytes(own, dtype);
    return (dtype === 'float16' ? tensor.to('float32') : tensor).toTypedArray();
  });
  const [first, second] = values;
  if (second !== undefined) return new TypedScalar([Number(first), Number(second)]);
  return Number.isSafeInteger(Number(first)) || typeof first === 'number' ? Number(first) : first;
}
