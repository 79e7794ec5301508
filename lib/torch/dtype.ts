import type { TypedArray } from '../../types/core.js';
import { ArgumentError, describe } from './errors.js';

export type { TypedArray };

/** Views that a tensor can be made from. */
export type TypedArrayInput = TypedArray | Uint8ClampedArray;

interface DTypeInfo {
  /** c10::ScalarType */
  readonly code: number;
  /** Bytes of one element. */
  readonly size: number;
  /** The typed array of the raw values; two elements a value for complex numbers. */
  readonly array: { new (length: number): TypedArray; new (memory: ArrayBuffer): TypedArray };
}

const table = {
  uint8: { code: 0, size: 1, array: Uint8Array },
  int8: { code: 1, size: 1, array: Int8Array },
  int16: { code: 2, size: 2, array: Int16Array },
  int32: { code: 3, size: 4, array: Int32Array },
  int64: { code: 4, size: 8, array: BigInt64Array },
  float16: { code: 5, size: 2, array: Uint16Array },
  float32: { code: 6, size: 4, array: Float32Array },
  float64: { code: 7, size: 8, array: Float64Array },
  complex32: { code: 8, size: 4, array: Uint16Array },
  complex64: { code: 9, size: 8, array: Float32Array },
  complex128: { code: 10, size: 16, array: Float64Array },
  bool: { code: 11, size: 1, array: Uint8Array },
  bfloat16: { code: 15, size: 2, array: Uint16Array },
  float8_e5m2: { code: 23, size: 1, array: Uint8Array },
  float8_e4m3fn: { code: 24, size: 1, array: Uint8Array },
  float8_e5m2fnuz: { code: 25, size: 1, array: Uint8Array },
  float8_e4m3fnuz: { code: 26, size: 1, array: Uint8Array },
  uint16: { code: 27, size: 2, array: Uint16Array },
  uint32: { code: 28, size: 4, array: Uint32Array },
  uint64: { code: 29, size: 8, array: BigUint64Array },
  float8_e8m0fnu: { code: 44, size: 1, array: Uint8Array },
} as const satisfies Record<string, DTypeInfo>;

/** Element types by name. */
export type DType = keyof typeof table;

/** All element types, in the order of their codes. */
export const dtypes = Object.keys(table) as readonly DType[];

const names = new Map<number, DType>(dtypes.map((name) => [table[name].code, name]));

export function isDType(value: unknown): value is DType {
  return typeof value === 'string' && Object.hasOwn(table, value);
}

/** Size, code and typed array of an element type; throws M3L_ARGUMENT for an unknown name. */
export function dtypeInfo(dtype: DType): DTypeInfo {
  if (!isDType(dtype)) {
    throw new ArgumentError(
      `unknown dtype: found ${describe(dtype)}, expected one of ${dtypes.join(', ')}`,
    );
  }
  return table[dtype];
}

export function dtypeCode(dtype: DType): number {
  return dtypeInfo(dtype).code;
}

/** The least and the greatest value of an integer type. */
export function integerBounds(dtype: DType): [least: bigint, most: bigint] {
  if (dtype === 'bool') return [0n, 1n];
  const bits = BigInt(8 * dtypeInfo(dtype).size);
  return dtype.startsWith('u')
    ? [0n, 2n ** bits - 1n]
    : [-(2n ** (bits - 1n)), 2n ** (bits - 1n) - 1n];
}

/** The name of a c10::ScalarType; types without one here (quantised, sub-byte) are `scalarType<code>`. */
export function dtypeName(code: number): DType {
  return names.get(code) ?? (`scalarType${code}` as DType);
}

/** By the tag of a typed array, which is the same in every realm (vm contexts, frames). */
const ofArrays: Record<string, DType> = {
  Float32Array: 'float32',
  Float64Array: 'float64',
  BigInt64Array: 'int64',
  Int32Array: 'int32',
  Int16Array: 'int16',
  Int8Array: 'int8',
  Uint16Array: 'uint16',
  Uint32Array: 'uint32',
  BigUint64Array: 'uint64',
  Uint8Array: 'uint8',
  Uint8ClampedArray: 'uint8',
};

/** The element type that a typed array holds; throws M3L_ARGUMENT where no dtype is of its elements. */
export function dtypeOfArray(view: TypedArrayInput): DType {
  const tag = view[Symbol.toStringTag];
  const dtype = ofArrays[tag];
  if (dtype !== undefined) return dtype;
  throw new ArgumentError(
    `found a ${tag}, expected one of ${Object.keys(ofArrays).join(', ')}; torch.fromBytes takes the bits of any dtype`,
  );
}

export function isFloatingDType(dtype: DType): boolean {
  return dtype.startsWith('float') || dtype === 'bfloat16';
}

/** Storage layouts by name, with their c10 codes. */
export const layouts = {
  strided: 0,
  sparse: 1,
  sparseCsr: 2,
  mkldnn: 3,
  sparseCsc: 4,
  sparseBsr: 5,
  sparseBsc: 6,
} as const;
/** How the elements are stored: strided, or sparse in one of several ways. */
export type Layout = keyof typeof layouts;

/** Memory formats by name, with their c10 codes. */
export const memoryFormats = {
  contiguous: 0,
  preserve: 1,
  channelsLast: 2,
  channelsLast3d: 3,
} as const;
/** In which order dimensions lie in memory. */
export type MemoryFormat = keyof typeof memoryFormats;

/** Throws M3L_ARGUMENT for an unknown name. */
export function memoryFormatCode(format: MemoryFormat): number {
  if (Object.hasOwn(memoryFormats, format)) return memoryFormats[format];
  throw new ArgumentError(
    `unknown memory format: found ${describe(format)}, expected one of ${Object.keys(memoryFormats).join(', ')}`,
  );
}
