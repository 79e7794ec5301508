/**
 * PNG files, as stored. Image libraries turn palette and 1-, 2- and 4-bit grey PNGs into colours or
 * stretch them to 0..255, and the class numbers of a label are lost; and what has no alpha this reads
 * faster than they do.
 */

import { inflateSync } from 'node:zlib';
import { crc32 } from '../../torch/crc32.js';
import { native } from '../native.js';
import type { Picture } from '../picture.js';
import { exifOrientation } from './exif.js';
import { type ImageReader, plainBytes, type StoredHeader, UnsupportedImage } from './reader.js';
import { unpackBits } from './samples.js';
import { decodeWithSharp } from './sharp.js';

export interface PngHeader extends StoredHeader {
  readonly bits: number;
  /** 0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGB and alpha. */
  readonly colourType: number;
  readonly interlaced: boolean;
}

const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

/** Channels and allowed bits of each colour type. */
const COLOUR_TYPES: Readonly<Record<number, { channels: number; bits: readonly number[] }>> = {
  0: { channels: 1, bits: [1, 2, 4, 8, 16] },
  2: { channels: 3, bits: [8, 16] },
  3: { channels: 1, bits: [1, 2, 4, 8] },
  4: { channels: 2, bits: [8, 16] },
  6: { channels: 4, bits: [8, 16] },
};

/** First column, first row and steps of the passes of an interlaced file (PNG section 8.2). */
const PASSES = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
] as const;
const WHOLE = [[0, 0, 1, 1]] as const;

/** No deflated stream gives more bytes for one. */
const DEFLATE_LIMIT = 1032;

interface Chunk {
  readonly type: string;
  readonly body: Buffer;
  readonly crc: number;
}

export const pngReader: ImageReader<PngHeader> = {
  name: 'PNG',
  summary: 'grey, colour and palettes of 1 to 16 bits; not animated',
  recognises: (start) => start.subarray(0, 8).equals(SIGNATURE),
  async header({ start }) {
    const header = readIhdr(start);
    let orientation = 1;
    for (const { type, body } of chunks(start)) {
      if (type === 'IDAT') break;
      if (type === 'eXIf') orientation = exifOrientation(body);
    }
    return { ...header, orientation };
  },
  async decode(bytes, header) {
    const { data, palette } = readChunks(bytes);
    if (header.alpha) {
      if (data.length * DEFLATE_LIMIT < filteredLength(header)) throw tooEarly();
      return decodeWithSharp(bytes, header);
    }
    const picture = readPixels(data, header);
    if (header.colour !== 'palette') return picture;
    checkIndices(picture, palette);
    return { ...picture, palette: palette! };
  },
};

function readIhdr(start: Buffer): Omit<PngHeader, 'orientation'> {
  if (start.length < 33) throw new Error('the file ends within its header');
  if (start.readUInt32BE(8) !== 13 || start.toString('latin1', 12, 16) !== 'IHDR') {
    throw new Error('its first chunk is not an IHDR of 13 bytes');
  }
  const [bits, colourType, compression, filter, interlace] = start.subarray(24, 29);
  const known = COLOUR_TYPES[colourType!];
  if (!known) throw new Error(`unknown colour type ${colourType}`);
  if (!known.bits.includes(bits!)) {
    throw new Error(
      `${bits} bits a sample, colour type ${colourType} has ${known.bits.join(', ')}`,
    );
  }
  if (compression !== 0) throw new Error(`unknown compression method ${compression}`);
  if (filter !== 0) throw new Error(`unknown filter method ${filter}`);
  if (interlace! > 1) throw new Error(`unknown interlace method ${interlace}`);
  return {
    format: 'PNG',
    width: start.readUInt32BE(16),
    height: start.readUInt32BE(20),
    channels: known.channels,
    depth: bits === 16 ? 'uint16' : 'uint8',
    bits: bits!,
    colour: colourType === 3 ? 'palette' : known.channels > 2 ? 'rgb' : 'grey',
    alpha: colourType! > 3,
    colourType: colourType!,
    interlaced: interlace === 1,
  };
}

/** The deflated pixels and the palette of a file whose chunks are all there and whole. */
function readChunks(bytes: Buffer): { data: Buffer; palette: Uint8Array | null } {
  const data: Buffer[] = [];
  let palette: Uint8Array | null = null;
  let complete = false;
  for (const { type, body, crc } of chunks(bytes)) {
    if (crc32(body, crc32(Buffer.from(type, 'latin1'))) !== crc) {
      throw new Error(`the checksum of its ${JSON.stringify(type)} chunk is wrong`);
    }
    if (type === 'IDAT') data.push(body);
    else if (type === 'PLTE') palette = plainBytes(body);
    else if (type === 'IEND') {
      complete = true;
      break;
    } else if (type === 'acTL') throw new UnsupportedImage('an animated PNG file');
  }
  // Decoders accept a file whose last chunk was cut off; a copy that stopped early looks like that.
  if (!complete) throw new Error('the file ends before its IEND chunk');
  if (palette && (palette.length % 3 !== 0 || palette.length > 768)) {
    throw new Error(`a palette of ${palette.length} bytes`);
  }
  return { data: data.length === 1 ? data[0]! : Buffer.concat(data), palette };
}

function* chunks(bytes: Buffer): Generator<Chunk> {
  for (let at = 8; at + 12 <= bytes.length; ) {
    const length = bytes.readUInt32BE(at);
    const end = at + 8 + length;
    if (end + 4 > bytes.length) return;
    const type = bytes.toString('latin1', at + 4, at + 8);
    yield { type, body: bytes.subarray(at + 8, end), crc: bytes.readUInt32BE(end) };
    at = end + 4;
  }
}

interface Pass {
  readonly at: readonly [column: number, row: number, acrossStep: number, downStep: number];
  readonly columns: number;
  readonly rows: number;
  /** Bytes of a row without its filter's number. */
  readonly stride: number;
}

function passesOf({ width, height, channels, bits, interlaced }: PngHeader): Pass[] {
  return (interlaced ? PASSES : WHOLE)
    .map((at) => {
      const columns = Math.ceil((width - at[0]) / at[2]);
      const rows = Math.ceil((height - at[1]) / at[3]);
      return { at, columns, rows, stride: Math.ceil((columns * channels * bits) / 8) };
    })
    .filter(({ columns, rows }) => columns > 0 && rows > 0);
}

function filteredLength(header: PngHeader): number {
  return passesOf(header).reduce((sum, { rows, stride }) => sum + rows * (stride + 1), 0);
}

function readPixels(deflated: Buffer, header: PngHeader): Picture {
  const { width, height, channels, bits, interlaced } = header;
  const filtered = inflate(deflated, filteredLength(header));
  const step = Math.max(1, (channels * bits) >> 3);
  if (!interlaced) {
    const [pass] = passesOf(header);
    return { width, height, channels, data: unfiltered(filtered, pass!, header, step) };
  }
  const data = new (bits === 16 ? Uint16Array : Uint8Array)(width * height * channels);
  let from = 0;
  for (const pass of passesOf(header)) {
    // A pass may start at an odd byte, where no 16-bit values can: each is copied.
    const length = pass.rows * (pass.stride + 1);
    const values = unfiltered(filtered.slice(from, from + length), pass, header, step);
    from += length;
    const [left, top, across, down] = pass.at;
    for (let row = 0, k = 0; row < pass.rows; row++) {
      for (let column = 0; column < pass.columns; column++) {
        const to = ((top + row * down) * width + left + column * across) * channels;
        for (let c = 0; c < channels; c++) data[to + c] = values[k++]!;
      }
    }
  }
  return { width, height, channels, data };
}

/** Exactly `length` bytes; no more memory than that, whatever the stream holds. */
function inflate(deflated: Buffer, length: number): Uint8Array {
  if (deflated.length * DEFLATE_LIMIT < length) throw tooEarly();
  let out: Buffer;
  try {
    // One byte more than there should be: the whole of it then comes in one piece.
    out = inflateSync(deflated, {
      chunkSize: Math.max(64, length + 1),
      maxOutputLength: length,
    });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_BUFFER_TOO_LARGE') throw error;
    throw new Error('more pixel data than its width and height say');
  }
  if (out.length < length) throw tooEarly();
  return plainBytes(out);
}

function tooEarly(): Error {
  return new Error('the pixel data ends too early');
}

/** The values of one pass, made in place of its filtered rows. */
function unfiltered(
  filtered: Uint8Array,
  { columns, rows, stride }: Pass,
  { bits }: PngHeader,
  step: number,
): Uint8Array | Uint16Array {
  native().unfilter(filtered, rows, stride, step, bits === 16);
  const count = rows * stride;
  if (bits === 16) return new Uint16Array(filtered.buffer, filtered.byteOffset, count / 2);
  const values = filtered.subarray(0, count);
  return bits === 8 ? values : unpackBits(values, { columns, rows, stride, bits });
}

function checkIndices({ data }: Picture, palette: Uint8Array | null): void {
  if (!palette) throw new Error('a palette image without a palette (PLTE chunk)');
  const entries = palette.length / 3;
  let greatest = 0;
  for (let i = 0; i < data.length; i++) if (data[i]! > greatest) greatest = data[i]!;
  if (greatest < entries) return;
  throw new Error(`a pixel has index ${greatest}, its palette ${entries} colours`);
}
