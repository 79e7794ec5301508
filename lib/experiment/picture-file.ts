import { dirname, extname, resolve } from 'node:path';
import type { Sharp } from 'sharp';
import { makeFolder, writeFileAtomic } from '../torch/atomic-write.js';
import { checkArguments } from '../torch/check-arguments.js';
import { M3lError } from '../torch/errors.js';
import * as is from '../torch/rules.js';
import { reasonOf } from './errors.js';
import { requireFolder } from './folders.js';

/** A picture that cannot be written where it was asked for: M3L_PICTURE_FORMAT, M3L_PICTURE_PATH. */
export class PictureError extends M3lError {}

/** How a picture is written, by the end of its name. */
const WRITERS = {
  '.png': (picture: Sharp) => picture.png(),
  '.tif': (picture: Sharp) => picture.tiff({ compression: 'deflate', predictor: 'none' }),
  '.tiff': (picture: Sharp) => picture.tiff({ compression: 'deflate', predictor: 'none' }),
  '.jpg': (picture: Sharp) => picture.jpeg({ quality: 92 }),
  '.jpeg': (picture: Sharp) => picture.jpeg({ quality: 92 }),
  '.webp': (picture: Sharp) => picture.webp({ quality: 92 }),
};

/** Names' ends of the formats that keep every class exactly. */
export const CLASS_FORMATS = ['.png', '.tif', '.tiff'] as const;

/** Names' ends of the formats of probabilities: of all classes, or of the one that is said. */
export const PROBABILITY_FORMATS = ['.npy', '.png'] as const;

/** Names' ends of the formats for pictures to look at. */
export const OVERLAY_FORMATS = Object.keys(WRITERS) as (keyof typeof WRITERS)[];

/**
 * Whether a prediction's files can be written: before any of its work.
 *
 * @throws PictureError M3L_PICTURE_FORMAT, M3L_PICTURE_PATH
 */
export function checkOutputs({
  images,
  out,
  overlay,
  probabilities,
}: {
  images: Record<string, string>;
  out: string;
  overlay?: string | undefined;
  probabilities?: string | undefined;
}): void {
  checkFormat(out, CLASS_FORMATS, 'classes');
  if (overlay !== undefined) checkFormat(overlay, OVERLAY_FORMATS, 'an overlay');
  if (probabilities !== undefined) checkFormat(probabilities, PROBABILITY_FORMATS, 'probabilities');
  const taken = new Map(Object.entries(images).map(([name, file]) => [resolve(file), name]));
  const wanted = [
    ['classes', out],
    ['overlay', overlay ?? null],
    ['probabilities', probabilities ?? null],
  ] as const;
  for (const [name, path] of wanted) {
    if (path === null) continue;
    const other = taken.get(resolve(path));
    if (other !== undefined) {
      throw new PictureError(
        'M3L_PICTURE_PATH',
        `${path} is both '${name}' and '${other}': expected a file of its own for each.`,
      );
    }
    taken.set(resolve(path), name);
    inFolder(path, () => requireFolder(path));
  }
}

/**
 * Whether a contact sheet, or another picture that is a PNG, can be written: before any of its work.
 *
 * @throws PictureError M3L_PICTURE_FORMAT, M3L_PICTURE_PATH
 */
export function checkSheet(path: string, what = 'a contact sheet'): void {
  checkArguments('checkSheet', { path, what }, { path: is.text, what: is.text });

  checkFormat(path, ['.png'], what);
  inFolder(path, () => requireFolder(path));
}

function inFolder(path: string, work: () => void): void {
  try {
    work();
  } catch (error) {
    throw new PictureError(
      'M3L_PICTURE_PATH',
      `${path} cannot be written: ${reasonOf(error)}. Give another path.`,
      { cause: error },
    );
  }
}

function checkFormat(path: string, formats: readonly string[], what: string): void {
  const end = extname(path).toLowerCase();
  if (formats.includes(end)) return;
  throw new PictureError(
    'M3L_PICTURE_FORMAT',
    `${path}: found ${end === '' ? 'no extension' : `'${end}'`}, expected one of ` +
      `${formats.join(', ')}: the format of ${what} follows the name.`,
  );
}

/** Writes a picture in the format that its name says, making its folder. */
export async function writePicture(path: string, picture: Sharp): Promise<void> {
  const end = extname(path).toLowerCase() as keyof typeof WRITERS;
  const bytes = await WRITERS[end](picture).toBuffer();
  inFolder(path, () => makeFolder(dirname(resolve(path))));
  writeFileAtomic(path, bytes);
}
