import { validOrientation } from './exif.js';
import { type ImageReader, UnsupportedImage } from './reader.js';
import { decodeWithSharp, metadataOf } from './sharp.js';

/** WebP: RGB of 8 bits, with or without alpha. */
export const webpReader: ImageReader = {
  name: 'WebP',
  summary: 'colour of 8 bits; not animated, not for labels',
  recognises: (start) =>
    start.toString('latin1', 0, 4) === 'RIFF' && start.toString('latin1', 8, 12) === 'WEBP',
  async header(file) {
    // The orientation stands behind the pixels.
    const metadata = await metadataOf(await file.read(0, file.size));
    if ((metadata.pages ?? 1) > 1) throw new UnsupportedImage('an animated WebP file');
    return {
      format: 'WebP',
      width: metadata.width,
      height: metadata.height,
      channels: metadata.channels,
      depth: 'uint8',
      colour: 'rgb',
      alpha: metadata.hasAlpha,
      orientation: validOrientation(metadata.orientation),
      lossy: true,
    };
  },
  decode: (bytes, header) => decodeWithSharp(bytes, header),
};
