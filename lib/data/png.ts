/**
 * PNG files: their header, and the stored values of those without alpha. Image libraries turn palette
 * and 1-, 2- and 4-bit grey PNGs into colours or stretch them to 0..255, and the class numbers of a
 * label are lost; grey and RGB ones of 8 and 16 bits this reads faster than they do.
 */

import { inflateSync } from 'node:zlib';
import { native } from './native.js';

/** What the header of a PNG file says. */
export interface PngHeader {
  readonly width: number;
  readonly height: number;
  readonly bitDepth: number;
  /** 0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGB and alpha. */
  readonly colourType: number;
  readonly interlaced: boolean;
  /** False where the file ends before its IEND chunk. */
  readonly complete: boolean;
}

const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

/** Null where the bytes are not a PNG file's. */
export function readPngHeader(bytes: Buffer): PngHeader | null {
  if (bytes.length < 33 || !bytes.subarray(0, 8).equals(SIGNATURE)) return null;
  let complete = false;
  for (const { type } of chunks(bytes)) complete ||= type === 'IEND';
  return {
    width: bytes.readUInt32BE(16),
    height: bytes.readUInt32BE(20),
    bitDepth: bytes[24]!,
    colourType: bytes[25]!,
    interlaced: bytes[28] === 1,
    complete,
  };
}

/**
 * The stored values of a grey, RGB or palette PNG (its indices) without interlacing, row-major. Throws
 * where the data is damaged.
 */
export function readPngValues(bytes: Buffer, header: PngHeader): Uint8Array | Uint16Array {
  const { width, height, bitDepth, colourType } = header;
  const bits = colourType === 2 ? 3 * bitDepth : bitDepth;
  const stride = Math.ceil((width * bits) / 8);
  const data: Buffer[] = [];
  for (const { type, body } of chunks(bytes)) if (type === 'IDAT') data.push(body);
  const length = height * (stride + 1);
  // One byte more than there should be: the whole of it then comes in one piece.
  const filtered = inflateSync(data.length === 1 ? data[0]! : Buffer.concat(data), {
    chunkSize: Math.max(64, length + 1),
  });
  if (filtered.length < length) throw new Error('the pixel data ends too early');
  // Not as a Buffer, whose `slice` would give the same memory again.
  const { buffer, byteOffset } = filtered;
  const rows = new Uint8Array(buffer, byteOffset, length);
  native().unfilter(rows, height, stride, Math.max(1, bits >> 3), bitDepth === 16);
  const count = height * stride;
  if (bitDepth === 16) return new Uint16Array(buffer, byteOffset, count / 2);
  const values = rows.subarray(0, count);
  return bitDepth === 8 ? values : unpack(values, width, height, bitDepth);
}

function* chunks(bytes: Buffer): Generator<{ type: string; body: Buffer }> {
  for (let at = 8; at + 12 <= bytes.length; ) {
    const length = bytes.readUInt32BE(at);
    if (at + 12 + length > bytes.length) return;
    const type = bytes.toString('latin1', at + 4, at + 8);
    yield { type, body: bytes.subarray(at + 8, at + 8 + length) };
    at += 12 + length;
  }
}

function unpack(packed: Uint8Array, width: number, height: number, bitDepth: number): Uint8Array {
  const stride = packed.length / height;
  const out = new Uint8Array(width * height);
  const mask = (1 << bitDepth) - 1;
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const bit = column * bitDepth;
      const byte = packed[row * stride + (bit >> 3)]!;
      out[row * width + column] = (byte >> (8 - bitDepth - (bit & 7))) & mask;
    }
  }
  return out;
}
