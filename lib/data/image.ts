/** Image files to typed arrays, exactly as stored: no colour management, no gamma, no rotation. */

import { readFile } from 'node:fs/promises';
import sharp from 'sharp';
import { DataError } from './errors.js';
import { type PngHeader, readPngHeader, readPngValues } from './png.js';

/** A decoded image, row-major with interleaved channels; 8-bit or 16-bit as in its file. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3;
  readonly data: Uint8Array | Uint16Array;
}

/**
 * Reads a colour image. Grey ones are repeated to three channels, alpha is dropped. EXIF rotation is
 * ignored, as it is for every modality: depth and labels are made for the stored pixels.
 * @throws DataError M3L_IMAGE_MISSING, M3L_IMAGE_CORRUPT
 */
export async function readColour(file: string): Promise<Picture> {
  const bytes = await readBytes(file);
  const header = checkPng(file, bytes);
  return decoding(file, async () => {
    if (header && isPlain(header)) {
      const picture = pngPicture(bytes, header);
      return picture.channels === 1 ? repeatGrey(picture) : picture;
    }
    const { channels, wide } = await stored(bytes);
    if (channels > 2) return raw(bytes, wide ? 'rgb16' : 'srgb', wide, 3);
    return repeatGrey(await raw(bytes, wide ? 'grey16' : 'b-w', wide, 1));
  });
}

/**
 * Reads a one-channel image such as depth; 16-bit values stay as they are.
 * @throws DataError M3L_IMAGE_MISSING, M3L_IMAGE_CORRUPT, M3L_IMAGE_FORMAT for a colour image
 */
export async function readGrey(file: string): Promise<Picture> {
  const bytes = await readBytes(file);
  const header = checkPng(file, bytes);
  return decoding(file, async () => {
    if (header && isPlain(header) && header.colourType === 0) return pngPicture(bytes, header);
    const { channels, wide } = await stored(bytes);
    if (channels > 2) {
      throw new DataError(
        'M3L_IMAGE_FORMAT',
        `${file}: found ${channels} channels, expected one (8-bit or 16-bit grey). ` +
          "Declare the modality as 'rgb', or store it as a grey image.",
      );
    }
    return raw(bytes, wide ? 'grey16' : 'b-w', wide, 1);
  });
}

/**
 * Reads class numbers: grey PNGs of 1 to 16 bits and palette PNGs (whose indices are the classes).
 * @throws DataError M3L_IMAGE_MISSING, M3L_IMAGE_CORRUPT, M3L_LABEL_FORMAT
 */
export async function readLabels(file: string): Promise<Picture> {
  const bytes = await readBytes(file);
  const header = checkPng(file, bytes);
  if (header === null) {
    // The rest of the file decides which message is right: not an image, or a lossy one.
    const { format } = await decoding(file, () => sharp(bytes).metadata());
    throw labelFormat(file, `a ${format} file`);
  }
  if (header.colourType === 2 || header.colourType === 6) throw labelFormat(file, 'a colour image');
  const indexed = header.colourType === 3 || header.bitDepth < 8;
  if (indexed && header.interlaced) throw labelFormat(file, 'an interlaced palette PNG');
  if (indexed || isPlain(header)) return decoding(file, async () => pngPicture(bytes, header));
  const wide = header.bitDepth === 16;
  return decoding(file, () => raw(bytes, wide ? 'grey16' : 'b-w', wide, 1));
}

function labelFormat(file: string, found: string): DataError {
  return new DataError(
    'M3L_LABEL_FORMAT',
    `${file}: found ${found}, expected a grey or palette PNG that holds class numbers. ` +
      'Store labels losslessly with one channel.',
  );
}

async function readBytes(file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code ?? String(error);
    throw new DataError(
      'M3L_IMAGE_MISSING',
      `${file}: cannot be read (${reason}), expected an image file. ` +
        'Check the list and the root folder that its paths are relative to.',
      { cause: error },
    );
  }
}

/** The decoder accepts a PNG whose last chunk was cut off; a copy that stopped early looks like that. */
function checkPng(file: string, bytes: Buffer): PngHeader | null {
  const header = readPngHeader(bytes);
  if (header && !header.complete) throw corrupt(file, 'the file ends before its IEND chunk');
  return header;
}

/** 8- or 16-bit grey or RGB, row after row: what we read faster than the image library. */
function isPlain({ colourType, bitDepth, interlaced }: PngHeader): boolean {
  return (colourType === 0 || colourType === 2) && bitDepth >= 8 && !interlaced;
}

function pngPicture(bytes: Buffer, header: PngHeader): Picture {
  const { width, height, colourType } = header;
  const channels = colourType === 2 ? 3 : 1;
  return { width, height, channels, data: readPngValues(bytes, header) };
}

async function decoding<T>(file: string, decode: () => Promise<T>): Promise<T> {
  try {
    return await decode();
  } catch (error) {
    if (error instanceof DataError) throw error;
    throw corrupt(file, (error as Error).message.trim().split('\n')[0]!, error);
  }
}

function corrupt(file: string, reason: string, cause?: unknown): DataError {
  return new DataError(
    'M3L_IMAGE_CORRUPT',
    `${file}: cannot be decoded (${reason}), expected a whole PNG or JPEG file. ` +
      'It may be truncated: copy or download it again.',
    { cause },
  );
}

// Read in sequence: the decoder then keeps a few rows, and no second copy of the whole picture.
const DECODER = { failOn: 'error', ignoreIcc: true, sequentialRead: true } as const;

async function stored(bytes: Buffer): Promise<{ channels: number; wide: boolean }> {
  const { channels, depth, isPalette } = await sharp(bytes, DECODER).metadata();
  return { channels: isPalette ? 3 : channels, wide: depth === 'ushort' };
}

async function raw(
  bytes: Buffer,
  space: 'grey16' | 'rgb16' | 'b-w' | 'srgb',
  wide: boolean,
  channels: 1 | 3,
): Promise<Picture> {
  const { data, info } = await sharp(bytes, DECODER)
    .removeAlpha()
    .toColourspace(space)
    .raw({ depth: wide ? 'ushort' : 'uchar' })
    .toBuffer({ resolveWithObject: true });
  if (info.channels !== channels) throw new Error(`decoded to ${info.channels} channels`);
  const { width, height } = info;
  // Not a Buffer, whose `slice` would give the same memory again.
  const { buffer, byteOffset, byteLength } = data;
  if (!wide)
    return { width, height, channels, data: new Uint8Array(buffer, byteOffset, byteLength) };
  const even = byteOffset % 2 === 0 ? data : new Uint8Array(data);
  const values = new Uint16Array(even.buffer, even.byteOffset, byteLength / 2);
  return { width, height, channels, data: values };
}

function repeatGrey(grey: Picture): Picture {
  const data = new (grey.data.constructor as Uint8ArrayConstructor | Uint16ArrayConstructor)(
    grey.data.length * 3,
  );
  for (let i = 0, to = 0; i < grey.data.length; i++, to += 3) {
    const value = grey.data[i]!;
    data[to] = value;
    data[to + 1] = value;
    data[to + 2] = value;
  }
  return { ...grey, channels: 3, data };
}
