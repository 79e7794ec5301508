/** Predictors of TIFF files: what was done to a row so that it compresses better. */

import { UnsupportedImage } from './reader.js';

interface Rows {
  /** Bytes of a value and of a row. */
  readonly size: number;
  readonly stride: number;
  /** Values from one pixel's to its neighbour's. */
  readonly channels: number;
}

/**
 * Undoes a predictor in place: 1 none; 2 differences of integers, which are in the machine's order; 3
 * differences of floats, which come out in the machine's order.
 */
export function undoPredictor(bytes: Buffer, predictor: number, rows: Rows): void {
  if (predictor === 1) return;
  if (predictor === 2) addLeft(bytes, rows);
  else if (predictor === 3) joinBytes(bytes, rows);
  else throw new UnsupportedImage(`a TIFF file with the unknown predictor ${predictor}`);
}

function addLeft(bytes: Buffer, { size, stride, channels }: Rows): void {
  const count = bytes.length / size;
  const columns = stride / size;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let i = 0; i < count; i++) {
    if (i % columns < channels) continue;
    const [at, left] = [i * size, (i - channels) * size];
    if (size === 1) bytes[at] = bytes[at]! + bytes[left]!;
    else if (size === 2)
      view.setUint16(at, view.getUint16(at, true) + view.getUint16(left, true), true);
    else if (size === 4)
      view.setUint32(at, view.getUint32(at, true) + view.getUint32(left, true), true);
    else view.setBigUint64(at, view.getBigUint64(at, true) + view.getBigUint64(left, true), true);
  }
}

/** Each row holds the highest bytes of all values, then the next ones, as differences of bytes. */
function joinBytes(bytes: Buffer, { size, stride, channels }: Rows): void {
  const columns = stride / size;
  for (let start = 0; start < bytes.length; start += stride) {
    const row = Uint8Array.from(bytes.subarray(start, start + stride));
    for (let i = channels; i < stride; i++) row[i] = row[i]! + row[i - channels]!;
    for (let i = 0; i < columns; i++) {
      for (let k = 0; k < size; k++) {
        bytes[start + i * size + k] = row[(size - 1 - k) * columns + i]!;
      }
    }
  }
}
