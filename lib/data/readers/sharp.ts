/** What the image library decodes: values without gamma or colour profile, as stored. */

import type { Metadata } from 'sharp';
import type { Picture } from '../picture.js';
import { MAX_PIXELS, plainBytes, type StoredHeader } from './reader.js';

const OPTIONS = {
  failOn: 'error',
  limitInputPixels: MAX_PIXELS,
  // Read in sequence: the decoder then keeps a few rows, and no second copy of the whole picture.
  sequentialRead: true,
} as const;

// Loaded with the first image: models, which ask kinds of modalities for their fills, need none.
const library = async () => (await import('sharp')).default;

/** Reads the header alone. */
export async function metadataOf(bytes: Buffer): Promise<Metadata> {
  const sharp = await library();
  return sharp(bytes, OPTIONS).metadata();
}

/**
 * Decodes grey or RGB, with or without alpha. `profile`: colours are converted as the file's profile
 * says, which CMYK needs to become RGB at all.
 */
export async function decodeWithSharp(
  bytes: Buffer,
  { channels, depth }: Pick<StoredHeader, 'channels' | 'depth'>,
  { profile = false }: { profile?: boolean } = {},
): Promise<Picture> {
  const sharp = await library();
  const wide = depth === 'uint16';
  const space = channels > 2 ? (wide ? 'rgb16' : 'srgb') : wide ? 'grey16' : 'b-w';
  const { data, info } = await sharp(bytes, { ...OPTIONS, ignoreIcc: !profile })
    .toColourspace(space)
    .raw({ depth: wide ? 'ushort' : 'uchar' })
    .toBuffer({ resolveWithObject: true });
  if (info.channels !== channels) {
    throw new Error(`decoded to ${info.channels} channels, its header says ${channels}`);
  }
  const { width, height } = info;
  if (!wide) return { width, height, channels, data: plainBytes(data) };
  const even = data.byteOffset % 2 === 0 ? data : new Uint8Array(data);
  const values = new Uint16Array(even.buffer, even.byteOffset, data.byteLength / 2);
  return { width, height, channels, data: values };
}
