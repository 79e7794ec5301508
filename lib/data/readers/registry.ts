import { jpegReader } from './jpeg.js';
import { npyReader } from './npy.js';
import { pngReader } from './png.js';
import type { ImageReader } from './reader.js';
import { refusedFormat } from './refused.js';
import { tiffReader } from './tiff.js';
import { webpReader } from './webp.js';

/** All readers: a new format is a file beside this one and its line here. */
export const READERS: readonly ImageReader[] = [
  pngReader,
  jpegReader,
  webpReader,
  tiffReader,
  npyReader,
];

/** What messages say is expected. */
export const READABLE = `${READERS.slice(0, -1)
  .map(({ name }) => name)
  .join(', ')} or ${READERS.at(-1)!.name}`;

/** The reader of a file that starts so. Throws where there is none. */
export function readerOf(start: Buffer): ImageReader {
  const reader = READERS.find((candidate) => candidate.recognises(start));
  if (reader) return reader;
  const refused = refusedFormat(start);
  if (refused) throw refused;
  if (start.length === 0) throw new Error('the file is empty');
  throw new Error(
    `it starts with ${JSON.stringify(start.toString('latin1', 0, 8))}, as no image does`,
  );
}
