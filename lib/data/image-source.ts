/** Where images come from: files, files in memory, or values that somebody has decoded already. */

import * as is from '../torch/rules.js';
import { DataError } from './errors.js';
import { type ImageBytes, readWhole, wholeOf } from './image-file.js';
import type { Picture } from './picture.js';
import type { StoredHeader } from './readers/reader.js';

/** The bytes of an image file, and what to call it in messages. */
export interface ImageBuffer {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** An image that claims more is refused before a pixel is decoded. Default: 2^28. */
  readonly maxPixels?: number;
}

/** A decoded image, and what to call it in messages. */
export interface ImageValues {
  readonly name: string;
  readonly picture: Picture;
}

/** An image to be read: the name of its file, or the image itself. */
export type ImageSource = string | ImageBuffer | ImageValues;

const name = is.text;
const picture = is.shape('Picture', {
  width: is.count,
  height: is.count,
  channels: is.count,
  data: is.numbers,
});
const inMemory = is.either(
  is.shape('ImageBuffer', { name, bytes: is.numbers }),
  is.shape('ImageValues', { name, picture }),
);

/** Of an argument that is an `ImageSource`. */
export const imageSource: is.Rule = {
  ...is.either(is.text, inMemory),
  expected: 'a string or an image in memory',
};

/** What messages call it. */
export function nameOf(source: ImageSource): string {
  return typeof source === 'string' ? source : source.name;
}

/** The file, which is read where it is not in memory. Throws as `readWhole`. */
export function bytesOf(source: string | ImageBuffer): Promise<ImageBytes> | ImageBytes {
  return typeof source === 'string' ? readWhole(source) : wholeOf(source);
}

/**
 * What a file of such values would say of them.
 * @throws DataError M3L_IMAGE_FORMAT where there are not as many values as pixels and channels
 */
export function headerOfValues({ name, picture }: ImageValues): StoredHeader {
  const { width, height, channels, data } = picture;
  if (data.length !== width * height * channels) {
    throw new DataError(
      'M3L_IMAGE_FORMAT',
      `${name}: found ${data.length} values, expected ${width} × ${height} pixels of ${channels} channels: ` +
        `${width * height * channels}. Give width, height and channels as they are.`,
    );
  }
  return {
    ...{ format: 'values', width, height, channels, orientation: 1 },
    depth: data instanceof Uint8Array ? 'uint8' : 'float32',
    colour: channels < 3 ? 'grey' : channels < 5 ? 'rgb' : 'other',
    alpha: channels === 2 || channels === 4,
  };
}
