/**
 * PNG files: their header, and the stored values of those with one channel. Image libraries turn
 * palette and 1-, 2- and 4-bit grey PNGs into colours or stretch them to 0..255, and the class numbers
 * of a label are lost; grey ones of 8 and 16 bits this reads faster than they do.
 */

import { inflateSync } from 'node:zlib';

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
 * The stored values of a grey or palette PNG (its indices) without interlacing, row-major. Throws
 * where the data is damaged.
 */
export function readPngValues(bytes: Buffer, header: PngHeader): Uint8Array | Uint16Array {
  const { width, height, bitDepth } = header;
  const stride = Math.ceil((width * bitDepth) / 8);
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
  const packed = unfilter(rows, height, stride, Math.max(1, bitDepth >> 3));
  if (bitDepth < 8) return unpack(packed, width, height, bitDepth);
  return bitDepth === 8 ? packed : fromBigEndian(packed);
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

/**
 * Undoes the row filters of the PNG specification (section 9) in place. Each row comes as the filter's
 * number and `stride` bytes, and then moves up so that no number is left between the rows. `step` is
 * how far left the byte of the same kind lies.
 */
function unfilter(rows: Uint8Array, height: number, stride: number, step: number): Uint8Array {
  for (let row = 0; row < height; row++) {
    const to = row * stride;
    const from = to + row + 1;
    const end = from + stride;
    // Bytes from here to those above. The row above has moved already.
    const up = from - to + stride;
    const filter = rows[from - 1]!;
    if (filter > 4) throw new Error(`unknown row filter ${filter}`);
    // Above the first row there are zeros: there up adds nothing, and Paeth's guess is the left one.
    if (filter === 1 || (filter === 4 && row === 0)) addLeft(rows, from, end, step);
    else if (filter === 2 && row > 0) addAbove(rows, from, end, up);
    else if (filter === 3) addMean(rows, from, end, row === 0 ? null : up, step);
    else if (filter === 4) addPaeth(rows, from, end, up, step);
    rows.copyWithin(to, from, end);
  }
  return rows.subarray(0, height * stride);
}

/** Each kind of byte is a chain of its own: what was written last stays in a register. */
function addLeft(rows: Uint8Array, from: number, end: number, step: number): void {
  for (let kind = 0; kind < step; kind++) {
    let left = 0;
    for (let i = from + kind; i < end; i += step) {
      left = (rows[i]! + left) & 255;
      rows[i] = left;
    }
  }
}

function addAbove(rows: Uint8Array, from: number, end: number, up: number): void {
  for (let i = from; i < end; i++) rows[i] = rows[i]! + rows[i - up]!;
}

function addMean(
  rows: Uint8Array,
  from: number,
  end: number,
  up: number | null,
  step: number,
): void {
  for (let kind = 0; kind < step; kind++) {
    let left = 0;
    for (let i = from + kind; i < end; i += step) {
      const above = up === null ? 0 : rows[i - up]!;
      left = (rows[i]! + ((left + above) >> 1)) & 255;
      rows[i] = left;
    }
  }
}

/** Adds the neighbour nearest to left + above − corner. */
function addPaeth(rows: Uint8Array, from: number, end: number, up: number, step: number): void {
  for (let kind = 0; kind < step; kind++) {
    let left = 0;
    let corner = 0;
    for (let i = from + kind; i < end; i += step) {
      const above = rows[i - up]!;
      // Where nothing changes across, as in most of a label, the guess is at hand.
      const guess =
        above === corner ? left : left === corner ? above : nearest(left, above, corner);
      left = (rows[i]! + guess) & 255;
      rows[i] = left;
      corner = above;
    }
  }
}

function nearest(left: number, up: number, corner: number): number {
  const byLeft = Math.abs(up - corner);
  const byUp = Math.abs(left - corner);
  const byCorner = Math.abs(up - corner + left - corner);
  if (byLeft <= byUp && byLeft <= byCorner) return left;
  return byUp <= byCorner ? up : corner;
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

/** PNG has the high byte first, every machine that runs this the low one. */
function fromBigEndian(bytes: Uint8Array): Uint16Array {
  const { buffer, byteOffset, length } = bytes;
  Buffer.from(buffer, byteOffset, length).swap16();
  return new Uint16Array(buffer, byteOffset, length / 2);
}
