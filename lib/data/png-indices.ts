/**
 * The stored values of palette and 1-, 2- and 4-bit grey PNGs, as label images use them. Image
 * libraries turn these into colours or stretch them to 0..255, and the class numbers are lost.
 */

import { inflateSync } from 'node:zlib';

/** What the header of a PNG file says; null where the bytes are not a PNG file's. */
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

/** The values of a one-channel PNG of at most 8 bits, not interlaced. Throws where the data is damaged. */
export function readPngIndices(bytes: Buffer, header: PngHeader): Uint8Array {
  const { width, height, bitDepth } = header;
  const data: Buffer[] = [];
  for (const { type, body } of chunks(bytes)) if (type === 'IDAT') data.push(body);
  const raw = inflateSync(Buffer.concat(data));
  const stride = Math.ceil((width * bitDepth) / 8);
  if (raw.length < height * (stride + 1)) throw new Error('the pixel data ends too early');
  const out = new Uint8Array(width * height);
  const mask = (1 << bitDepth) - 1;
  let above = new Uint8Array(stride);
  for (let row = 0; row < height; row++) {
    const start = row * (stride + 1);
    const line = new Uint8Array(raw.subarray(start + 1, start + 1 + stride));
    unfilter(raw[start]!, line, above);
    for (let column = 0; column < width; column++) {
      const bit = column * bitDepth;
      out[row * width + column] = (line[bit >> 3]! >> (8 - bitDepth - (bit & 7))) & mask;
    }
    above = line;
  }
  return out;
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

/** Undoes the row filters of the PNG specification (section 9) for pixels of at most one byte. */
function unfilter(filter: number, line: Uint8Array, above: Uint8Array): void {
  if (filter > 4) throw new Error(`unknown row filter ${filter}`);
  for (let i = 0; i < line.length; i++) {
    const left = i > 0 ? line[i - 1]! : 0;
    const up = above[i]!;
    const corner = i > 0 ? above[i - 1]! : 0;
    const guess = [0, left, up, (left + up) >> 1, filter === 4 ? paeth(left, up, corner) : 0];
    line[i] = line[i]! + guess[filter]!;
  }
}

function paeth(left: number, up: number, corner: number): number {
  const byLeft = Math.abs(up - corner);
  const byUp = Math.abs(left - corner);
  const byCorner = Math.abs(left + up - 2 * corner);
  if (byLeft <= byUp && byLeft <= byCorner) return left;
  return byUp <= byCorner ? up : corner;
}
