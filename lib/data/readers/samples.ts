/** Values of any numeric type from a file's bytes. */

import type { PictureData, PictureDepth } from '../picture.js';

export type SampleType = PictureDepth | 'int8' | 'int64' | 'uint64' | 'float16';

/** What a picture holds the values of a file in: the same type, or a wider one that is as exact. */
export function depthOf(type: SampleType): PictureDepth {
  if (type === 'int8') return 'int16';
  if (type === 'float16') return 'float32';
  return type === 'int64' || type === 'uint64' ? 'int32' : type;
}

/** Bytes of a value. */
export function sizeOf(type: SampleType): number {
  return Number(/\d+$/.exec(type)![0]) / 8;
}

/** Brings values of `size` bytes into the machine's order (little-endian), in place. */
export function toMachineOrder(bytes: Buffer, size: number, littleEndian: boolean): void {
  if (littleEndian || size === 1) return;
  if (size === 2) bytes.swap16();
  else if (size === 4) bytes.swap32();
  else bytes.swap64();
}

/**
 * The values of bytes in the machine's order. Shares their memory where it can. Throws for 64-bit
 * integers beyond 32 bits.
 */
export function valuesOf(bytes: Uint8Array, type: SampleType): PictureData {
  const size = sizeOf(type);
  const { buffer, byteOffset } = bytes.byteOffset % size === 0 ? bytes : new Uint8Array(bytes);
  const count = bytes.byteLength / size;
  switch (type) {
    case 'uint8':
      return new Uint8Array(buffer, byteOffset, count);
    case 'uint16':
      return new Uint16Array(buffer, byteOffset, count);
    case 'uint32':
      return new Uint32Array(buffer, byteOffset, count);
    case 'int8':
      return Int16Array.from(new Int8Array(buffer, byteOffset, count));
    case 'int16':
      return new Int16Array(buffer, byteOffset, count);
    case 'int32':
      return new Int32Array(buffer, byteOffset, count);
    case 'int64':
      return narrowed(new BigInt64Array(buffer, byteOffset, count));
    case 'uint64':
      return narrowed(new BigUint64Array(buffer, byteOffset, count));
    case 'float16':
      return Float32Array.from(new Uint16Array(buffer, byteOffset, count), halfToNumber);
    case 'float32':
      return new Float32Array(buffer, byteOffset, count);
    case 'float64':
      return new Float64Array(buffer, byteOffset, count);
  }
}

/** An array for values of a type. */
export function emptyValues(depth: PictureDepth, count: number): PictureData {
  return valuesOf(new Uint8Array(count * sizeOf(depth)), depth);
}

function narrowed(values: BigInt64Array | BigUint64Array): Int32Array {
  return Int32Array.from({ length: values.length }, (_, i) => {
    const value = Number(values[i]);
    if (value === (value | 0)) return value;
    throw new Error(`the 64-bit integer ${values[i]} does not fit 32 bits`);
  });
}

function halfToNumber(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 31;
  const fraction = half & 1023;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return exponent === 0
    ? sign * fraction * 2 ** -24
    : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** Values of 1, 2 or 4 bits, rows of `stride` bytes, the first value in the highest bits. */
export function unpackBits(
  packed: Uint8Array,
  { columns, rows, stride, bits }: { columns: number; rows: number; stride: number; bits: number },
): Uint8Array {
  const out = new Uint8Array(columns * rows);
  const mask = (1 << bits) - 1;
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const bit = column * bits;
      const byte = packed[row * stride + (bit >> 3)]!;
      out[row * columns + column] = (byte >> (8 - bits - (bit & 7))) & mask;
    }
  }
  return out;
}
