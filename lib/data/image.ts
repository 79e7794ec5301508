/**
 * Image files to typed arrays, exactly as stored: no colour management, no gamma. What a file is is
 * told by its first bytes, never by its name.
 *
 * A file that carries an EXIF orientation is turned by it, whatever it holds: labels and depth are made
 * for upright images, and files without an orientation are upright.
 */

import { checkArguments } from '../torch/check-arguments.js';
import * as is from '../torch/rules.js';
import { DataError } from './errors.js';
import { type ImageBytes, openImage } from './image-file.js';
import { bytesOf, headerOfValues, type ImageSource, imageSource, nameOf } from './image-source.js';
import {
  isInteger,
  type Picture,
  type PictureHeader,
  pickChannels,
  swapsSides,
  upright,
} from './picture.js';
import { MAX_PIXELS, type StoredHeader, UnsupportedImage } from './readers/reader.js';
import { READABLE, readerOf } from './readers/registry.js';

interface Read {
  readonly header: StoredHeader;
  readonly picture: Picture;
}

/**
 * What a file says of its image; reads a few kilobytes and decodes nothing.
 * @throws DataError M3L_IMAGE_MISSING, M3L_IMAGE_CORRUPT, M3L_IMAGE_FORMAT
 */
export async function readHeader(file: string): Promise<PictureHeader> {
  checkArguments('readHeader', { file }, { file: is.text });

  return openImage(file, (image) =>
    decoding(file, async () => {
      const { format, width, height, channels, depth, colour, alpha, orientation } =
        await headerOf(image);
      const swap = swapsSides(orientation);
      const [columns, rows] = swap ? [height, width] : [width, height];
      return { format, width: columns, height: rows, channels, depth, colour, alpha, orientation };
    }),
  );
}

/**
 * Reads a colour image: three channels. Grey ones are repeated, palettes looked up, alpha is dropped.
 * Grey of 1, 2 and 4 bits is stretched to 0..255.
 * @throws DataError M3L_IMAGE_MISSING, M3L_IMAGE_CORRUPT, M3L_IMAGE_FORMAT for other than 1 to 4 channels
 */
export async function readColour(file: ImageSource): Promise<Picture> {
  checkArguments('readColour', { file }, { file: imageSource });

  const { header, picture } = await read(file);
  const colours = stretched(paletteColours(picture), header.bits);
  const { channels } = colours;
  if (channels === 3) return colours;
  if (header.colour === 'grey') return pickChannels(colours, [0, 0, 0]);
  if (header.colour === 'rgb') return pickChannels(colours, [0, 1, 2]);
  throw new DataError(
    'M3L_IMAGE_FORMAT',
    `${nameOf(file)}: found ${channels} channels of no known colour, expected a grey or RGB image.`,
  );
}

/**
 * Reads a one-channel image such as depth, values as stored: those of a 4-bit PNG are 0 to 15. Alpha is
 * dropped; a colour image whose channels are equal is grey.
 * @throws DataError M3L_IMAGE_MISSING, M3L_IMAGE_CORRUPT, M3L_IMAGE_FORMAT for a colour image
 */
export async function readGrey(file: ImageSource): Promise<Picture> {
  checkArguments('readGrey', { file }, { file: imageSource });

  const { header, picture } = await read(file);
  if (picture.channels === 1 && !picture.palette) return picture;
  const grey = greyOf(paletteColours(picture), header);
  if (grey) return grey;
  const found = picture.palette ? 'a palette of colours' : `${picture.channels} channels`;
  throw new DataError(
    'M3L_IMAGE_FORMAT',
    `${nameOf(file)}: found ${found}, expected one (grey values). ` +
      "Declare the modality as 'rgb', name one of its channels (channel: red), or store it as grey.",
  );
}

/**
 * Reads all channels of an image, alpha among them, values as stored; a palette's colours.
 * @throws DataError M3L_IMAGE_MISSING, M3L_IMAGE_CORRUPT, M3L_IMAGE_FORMAT
 */
export async function readChannels(file: ImageSource): Promise<Picture> {
  checkArguments('readChannels', { file }, { file: imageSource });

  return paletteColours((await read(file)).picture);
}

/**
 * Reads labels as stored. One channel: class numbers, or a palette image's indices (then `palette`
 * holds their colours); grey that is stored as RGB counts as grey, and floats that are integers become
 * int32. Three channels: colours that stand for classes. Alpha is dropped.
 * @throws DataError M3L_IMAGE_MISSING, M3L_IMAGE_CORRUPT, M3L_IMAGE_FORMAT, M3L_LABEL_FORMAT for lossy
 *   formats, fractions and other numbers of channels
 */
export async function readLabels(file: string): Promise<Picture> {
  checkArguments('readLabels', { file }, { file: is.text });

  const { header, picture } = await read(file);
  if (header.lossy) throw labelFormat(file, `a ${header.format} file, whose values are not exact`);
  if (picture.channels === 1) return wholeNumbers(file, picture);
  const grey = greyOf(picture, header);
  if (grey) return wholeNumbers(file, grey);
  if (header.colour !== 'rgb') throw labelFormat(file, `${picture.channels} channels`);
  if (!isInteger(picture.data)) throw labelFormat(file, `colours of ${header.depth}`);
  return picture.channels === 3 ? picture : pickChannels(picture, [0, 1, 2]);
}

async function read(source: ImageSource): Promise<Read> {
  if (typeof source !== 'string' && 'picture' in source) {
    return { header: headerOfValues(source), picture: source.picture };
  }
  const image = await bytesOf(source);
  const most = typeof source === 'string' ? undefined : source.maxPixels;
  return decoding(image.name, async () => {
    const header = await headerOf(image, most);
    const picture = await readerOf(image.start).decode(image.bytes, header);
    return { header, picture: upright(picture, header.orientation) };
  });
}

async function headerOf(
  image: Omit<ImageBytes, 'bytes'>,
  most = Number.POSITIVE_INFINITY,
): Promise<StoredHeader> {
  const header = await readerOf(image.start).header(image);
  const { width, height } = header;
  if (width * height > most) {
    throw new DataError(
      'M3L_IMAGE_PIXELS',
      `${image.name}: found ${width} × ${height} pixels, expected at most ${most} in all. Send a smaller image.`,
    );
  }
  if (width < 1 || height < 1 || width * height > MAX_PIXELS) {
    throw new Error(`${width} × ${height} pixels, at most ${MAX_PIXELS} are read`);
  }
  return header;
}

async function decoding<T>(file: string, decode: () => Promise<T>): Promise<T> {
  try {
    return await decode();
  } catch (error) {
    if (error instanceof DataError) throw error;
    if (error instanceof UnsupportedImage) {
      throw new DataError(
        'M3L_IMAGE_FORMAT',
        `${file}: found ${error.found}, expected ${READABLE}. ${error.mend}`,
      );
    }
    const reason = (error as Error).message.trim().split('\n')[0]!;
    throw new DataError(
      'M3L_IMAGE_CORRUPT',
      `${file}: cannot be decoded (${reason}), expected a whole ${READABLE} file. ` +
        'It may be truncated: copy or download it again.',
      { cause: error },
    );
  }
}

/** Indices become RGB; what has no palette stays. */
function paletteColours(picture: Picture): Picture {
  const { palette, ...rest } = picture;
  if (!palette) return picture;
  const data = new Uint8Array(picture.data.length * 3);
  for (let i = 0, to = 0; i < picture.data.length; i++, to += 3) {
    const from = 3 * picture.data[i]!;
    data[to] = palette[from]!;
    data[to + 1] = palette[from + 1]!;
    data[to + 2] = palette[from + 2]!;
  }
  return { ...rest, channels: 3, data };
}

/** Grey of fewer than 8 bits to 0..255, which is exact: 1, 3 and 15 divide 255. */
function stretched(picture: Picture, bits = 8): Picture {
  if (bits >= 8 || picture.channels !== 1) return picture;
  const factor = 255 / (2 ** bits - 1);
  return { ...picture, data: Uint8Array.from(picture.data, (value) => value * factor) };
}

/** The one channel of grey with alpha, or of colours that are all equal; null for real colours. */
function greyOf(picture: Picture, { colour }: StoredHeader): Picture | null {
  const { data, channels } = picture;
  if (channels === 1) return picture;
  if (colour === 'grey') return pickChannels(picture, [0]);
  if (channels < 3 || colour === 'other') return null;
  for (let i = 0; i < data.length; i += channels) {
    if (data[i] !== data[i + 1] || data[i] !== data[i + 2]) return null;
  }
  return pickChannels(picture, [0]);
}

function wholeNumbers(file: string, label: Picture): Picture {
  const { data, width } = label;
  if (isInteger(data)) return label;
  const whole = Int32Array.from(data);
  const wrong = whole.findIndex((value, i) => value !== data[i]);
  if (wrong < 0) return { ...label, data: whole };
  const place = `row ${Math.floor(wrong / width)}, column ${wrong % width}`;
  throw labelFormat(file, `the number ${data[wrong]} (${place})`);
}

function labelFormat(file: string, found: string): DataError {
  return new DataError(
    'M3L_LABEL_FORMAT',
    `${file}: found ${found}, expected class numbers: integers in a grey or palette image. ` +
      'Store labels losslessly with one channel, e.g. as PNG.',
  );
}
