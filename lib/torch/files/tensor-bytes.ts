/** Values of tensors in files. */
import { crc32 } from '../crc32.js';
import { fromBytes } from '../creation.js';
import { type DType, dtypeInfo } from '../dtype.js';
import { empty, fromFile } from '../generated/functions.js';
import { scope } from '../scope.js';
import type { Tensor } from '../tensor.js';
import type { FileSource, Reading } from './source.js';

/** What is done with the bytes of a range on their way into a tensor. */
export interface Transfer {
  /** Takes the CRC-32 of the bytes as they lie in the file. */
  checkCrc?: (crc: number) => void;
  /** That of the bytes before, which count with these. */
  crc?: number;
  /** Elements of so many bytes are of the other byte order. */
  swap?: number;
}

/**
 * A uint8 tensor with the bytes of a range, in pieces where it is large: no more memory than the tensor
 * and a piece.
 */
export function* readRange(
  file: FileSource,
  start: number,
  end: number,
  { checkCrc, crc: before = 0, swap = 1 }: Transfer = {},
): Reading<Tensor> {
  let crc = before;
  const take = (bytes: Uint8Array) => {
    if (checkCrc) crc = crc32(bytes, crc);
    swapBytes(bytes, swap);
    return bytes;
  };
  if (end - start <= file.piece) {
    const bytes = take(yield* file.staged(start, end));
    checkCrc?.(crc);
    return fromBytes(bytes, 'uint8');
  }
  const whole = empty([end - start], { dtype: 'uint8' });
  try {
    for (let at = start; at < end; at += file.piece) {
      const bytes = take(yield* file.staged(at, Math.min(end, at + file.piece)));
      scope(() => void whole.narrow(0, at - start, bytes.length).copy_(fromBytes(bytes, 'uint8')));
    }
    checkCrc?.(crc);
    return whole;
  } catch (error) {
    whole.dispose();
    throw error;
  }
}

/** A range as a tensor of so many elements. */
export function* readValues(
  file: FileSource,
  [start, end]: readonly [number, number],
  dtype: DType,
  shape: readonly number[],
  transfer?: Transfer,
): Reading<Tensor> {
  const bytes = yield* readRange(file, start, end, transfer);
  return reinterpret(bytes, dtype, shape);
}

/** The bytes of a uint8 tensor as another dtype; the argument is disposed. */
export function reinterpret(bytes: Tensor, dtype: DType, shape: readonly number[]): Tensor {
  try {
    return scope(() => (dtype === 'uint8' ? bytes : bytes.view(dtype)).reshape(shape));
  } finally {
    bytes.dispose();
  }
}

/** The bytes of a file as memory of its own: what is written to it stays there. */
export function mapFile({ path, size }: FileSource): Tensor {
  return fromFile(path, { shared: false, size, dtype: 'uint8' });
}

/** Bytes of one number of a dtype, whose order a machine chooses. */
export function wordSize(dtype: DType): number {
  const { size } = dtypeInfo(dtype);
  return dtype.startsWith('complex') ? size / 2 : size;
}

/** Turns the order of the bytes of each word, in place. */
export function swapBytes(bytes: Uint8Array, size: number): void {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length - (bytes.length % size));
  if (size === 2) view.swap16();
  else if (size === 4) view.swap32();
  else if (size === 8) view.swap64();
}
