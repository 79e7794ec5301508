/**
 * TIFF files, as stored: integers and floats of 8 to 64 bits (and 1, 2 and 4), strips and tiles, one
 * page. Image libraries cast what is not 8 or 16 bits unsigned, and of a depth in metres little is left.
 */

import type { Picture, PictureData } from '../picture.js';
import { validOrientation } from './exif.js';
import { type ImageReader, type StoredHeader, UnsupportedImage } from './reader.js';
import {
  depthOf,
  emptyValues,
  type SampleType,
  sizeOf,
  toMachineOrder,
  unpackBits,
  valuesOf,
} from './samples.js';
import { decodeWithSharp } from './sharp.js';
import { COMPRESSIONS, OTHER_COMPRESSIONS } from './tiff-compression.js';
import { type Directory, isTiff, readDirectory } from './tiff-directory.js';
import { undoPredictor } from './tiff-predictor.js';

const JPEG_COMPRESSION = 7;
const WHITE_IS_ZERO = 0;
const PALETTE = 3;

interface TiffHeader extends StoredHeader {
  readonly directory: Directory;
  readonly type: SampleType;
  readonly bits: number;
  readonly compression: number;
  readonly photometric: number;
}

/** Photometric interpretations that are read: their colour and its channels. */
const PHOTOMETRICS: Readonly<Record<number, readonly ['grey' | 'rgb' | 'palette', number]>> = {
  [WHITE_IS_ZERO]: ['grey', 1],
  1: ['grey', 1],
  2: ['rgb', 3],
  [PALETTE]: ['palette', 1],
};
const OTHER_PHOTOMETRICS: Readonly<Record<number, string>> = {
  4: 'a mask',
  5: 'CMYK',
  6: 'YCbCr',
  8: 'CIE Lab',
  9: 'ICC Lab',
  32803: 'raw sensor data',
  34892: 'raw sensor data',
};

const MEND = 'Store it as grey or RGB, one page, uncompressed or with deflate, LZW or PackBits.';

export const tiffReader: ImageReader<TiffHeader> = {
  name: 'TIFF',
  summary:
    'integers and floats of 8 to 64 bits, and 1, 2 and 4 bits; one page, uncompressed or by deflate, LZW or PackBits; 8-bit JPEG inside, not for labels',
  recognises: isTiff,
  async header(file) {
    const { directory, several } = await readDirectory(file);
    if (several) throw unsupported('of several pages');
    const tag = (number: number, otherwise: number) => directory.value(number, otherwise);
    const compression = await tag(259, 1);
    const jpeg = compression === JPEG_COMPRESSION;
    if (!jpeg && !COMPRESSIONS[compression]) {
      throw unsupported(
        `with ${OTHER_COMPRESSIONS[compression] ?? `unknown (${compression})`} compression`,
      );
    }
    const photometric = await tag(262, 1);
    const known = jpeg && photometric === 6 ? PHOTOMETRICS[2] : PHOTOMETRICS[photometric];
    if (!known) {
      throw unsupported(
        `of ${OTHER_PHOTOMETRICS[photometric] ?? `unknown colours (${photometric})`}`,
      );
    }
    if ((await tag(266, 1)) !== 1) throw unsupported('with its bits in reverse order');
    const channels = await tag(277, 1);
    const [named, own] = known;
    if (channels < own) throw new Error(`${channels} samples a pixel for ${named}`);
    const alpha = channels === own + 1 && [1, 2].includes(await tag(338, 0));
    const { type, bits } = await sampleType(directory, channels);
    if (bits < 8 && channels > 1) throw unsupported(`of ${channels} samples of ${bits} bits`);
    return {
      format: 'TIFF',
      width: await tag(256, 0),
      height: await tag(257, 0),
      channels,
      depth: depthOf(type),
      colour: named !== 'rgb' && channels > (alpha ? 2 : 1) ? 'other' : named,
      alpha,
      orientation: validOrientation(await tag(274, 1)),
      lossy: jpeg,
      directory,
      type,
      bits,
      compression,
      photometric,
    };
  },
  async decode(bytes, header) {
    const { compression, photometric, type, bits, colour } = header;
    if (compression === JPEG_COMPRESSION) return decodeWithSharp(bytes, header);
    const picture = await readSegments(bytes, header);
    if (colour === 'palette') return withPalette(picture, header);
    if (photometric !== WHITE_IS_ZERO) return picture;
    if (!type.startsWith('uint') || bits > 32) throw unsupported(`of ${type} whose white is zero`);
    return { ...picture, data: picture.data.map((value) => 2 ** bits - 1 - value) };
  },
};

function unsupported(what: string): UnsupportedImage {
  return new UnsupportedImage(`a TIFF file ${what}`, MEND);
}

const FORMATS: Readonly<Record<number, string>> = { 1: 'uint', 2: 'int', 3: 'float', 4: 'uint' };

async function sampleType(
  directory: Directory,
  channels: number,
): Promise<{ type: SampleType; bits: number }> {
  const all = (await directory.values(258)) ?? [1];
  const bits = all[0]!;
  const formats = (await directory.values(339)) ?? [1];
  if (new Set(all).size > 1 || new Set(formats).size > 1) {
    throw unsupported('whose channels are of different types');
  }
  if (all.length !== channels && all.length !== 1) {
    throw new Error(`${all.length} channels have a number of bits, expected ${channels}`);
  }
  const format = FORMATS[formats[0]!];
  const sizes = format === 'float' ? [16, 32, 64] : [8, 16, 32, 64];
  if (format && sizes.includes(bits)) return { type: `${format}${bits}` as SampleType, bits };
  if (format === 'uint' && [1, 2, 4].includes(bits)) return { type: 'uint8', bits };
  throw unsupported(`of ${bits}-bit ${format ?? 'complex'} numbers`);
}

/** A strip or a tile: where its bytes are, and which part of the picture it holds. */
interface Segment {
  readonly position: number;
  readonly bytes: number;
  readonly left: number;
  readonly top: number;
  /** The first channel. */
  readonly channel: number;
}

interface Layout {
  readonly segments: readonly Segment[];
  /** Of a whole segment. */
  readonly columns: number;
  readonly rows: number;
  /** Channels of a segment: all, or one where they are stored apart. */
  readonly channels: number;
  /** Bytes of a segment's row. */
  readonly stride: number;
}

async function layoutOf(header: TiffHeader): Promise<Layout> {
  const { directory, width, height, channels: all, bits } = header;
  const tiled = (await directory.values(324)) !== undefined;
  const columns = tiled ? await directory.value(322, 0) : width;
  const rows = tiled
    ? await directory.value(323, 0)
    : Math.min(height, await directory.value(278, height));
  const apart = (await directory.value(284, 1)) === 2;
  const positions = (await directory.values(tiled ? 324 : 273)) ?? [];
  const lengths = (await directory.values(tiled ? 325 : 279)) ?? [];
  if (columns < 1 || rows < 1) throw new Error(`tiles of ${columns} × ${rows} pixels`);
  const across = Math.ceil(width / columns);
  const down = Math.ceil(height / rows);
  const expected = across * down * (apart ? all : 1);
  if (positions.length < expected || lengths.length < expected) {
    throw new Error(`${Math.min(positions.length, lengths.length)} strips or tiles of ${expected}`);
  }
  const channels = apart ? 1 : all;
  const segments = Array.from({ length: expected }, (_, k) => ({
    position: positions[k]!,
    bytes: lengths[k]!,
    left: (k % across) * columns,
    top: (Math.floor(k / across) % down) * rows,
    channel: Math.floor(k / (across * down)),
  }));
  return { segments, columns, rows, channels, stride: Math.ceil((columns * channels * bits) / 8) };
}

async function readSegments(bytes: Buffer, header: TiffHeader): Promise<Picture> {
  const { width, height, channels, depth, directory, compression } = header;
  const layout = await layoutOf(header);
  const predictor = await directory.value(317, 1);
  const tiled = layout.columns !== width || (await directory.values(324)) !== undefined;
  const { unpack, ratio } = COMPRESSIONS[compression]!;
  const rowsOf = ({ top }: Segment) => (tiled ? layout.rows : Math.min(layout.rows, height - top));
  // Before anything is allocated: the file must be able to hold so many pixels.
  for (const segment of layout.segments) {
    const end = segment.position + segment.bytes;
    if (end <= bytes.length && segment.bytes * ratio >= rowsOf(segment) * layout.stride) continue;
    throw new Error('the pixel data ends too early');
  }
  const data = emptyValues(depth, width * height * channels);
  for (const segment of layout.segments) {
    const { position, bytes: length } = segment;
    const rows = rowsOf(segment);
    const packed = bytes.subarray(position, position + length);
    const unpacked = unpack(packed, layout.rows * layout.stride);
    if (unpacked.length < rows * layout.stride) throw new Error('the pixel data ends too early');
    const raw = unpacked.subarray(0, rows * layout.stride);
    const values = segmentValues(raw, header, layout, rows, predictor);
    place(values, segment, layout, { width, height, channels, data });
  }
  return { width, height, channels, data };
}

function segmentValues(
  raw: Buffer,
  { type, bits, directory: { littleEndian } }: TiffHeader,
  { columns, channels, stride }: Layout,
  rows: number,
  predictor: number,
): PictureData {
  if (bits < 8) {
    if (predictor !== 1) throw unsupported(`of ${bits} bits with predictor ${predictor}`);
    return unpackBits(raw, { columns: columns * channels, rows, stride, bits });
  }
  // The predictor of floats leaves their bytes in an order of its own.
  if (predictor !== 3) toMachineOrder(raw, sizeOf(type), littleEndian);
  undoPredictor(raw, predictor, { size: sizeOf(type), stride, channels });
  return valuesOf(raw, type);
}

/** Copies the part of a segment that lies within the picture. */
function place(
  values: PictureData,
  { left, top, channel }: Segment,
  { columns, rows, channels }: Layout,
  { width, height, channels: all, data }: Picture,
): void {
  const wide = Math.min(columns, width - left);
  const high = Math.min(rows, height - top);
  for (let row = 0; row < high; row++) {
    const from = row * columns * channels;
    const to = ((top + row) * width + left) * all + channel;
    if (channels === all) {
      data.set(values.subarray(from, from + wide * channels), to);
      continue;
    }
    for (let column = 0; column < wide; column++) data[to + column * all] = values[from + column]!;
  }
}

/** Red, green and blue of each index: 16 bits in the file, 8 here. */
async function withPalette(picture: Picture, { directory, bits }: TiffHeader): Promise<Picture> {
  const map = await directory.values(320);
  const count = 2 ** bits;
  if (map?.length !== 3 * count) throw new Error(`a palette of ${map?.length ?? 0} values`);
  if (bits > 8) throw unsupported(`with a palette of ${count} colours`);
  // Some writers store 8 bits.
  const shift = map.some((value) => value > 255) ? 8 : 0;
  const palette = Uint8Array.from(
    { length: 3 * count },
    (_, k) => map[(k % 3) * count + Math.floor(k / 3)]! >> shift,
  );
  return { ...picture, palette };
}
