/** What the pixels of a modality mean, and how they become the numbers a model sees. */

import { DataError } from './errors.js';
import { readColour, readGrey } from './image.js';
import { native } from './native.js';
import type { Picture } from './picture.js';
import type { Random } from './random.js';

/** A modality: `rgb`, or `depth`, which stands for any one-channel image (disparity, thermal, height). */
export interface ModalitySpec {
  readonly name: string;
  readonly kind: 'rgb' | 'depth';
  /**
   * A raw value that means "nothing measured": it takes no part in the minimum and maximum and
   * becomes 0. Absent: every value counts, as in the paper.
   */
  readonly invalid?: number;
  /**
   * Subtracted after the scaling to [0, 1], and divided by; for RGB one number, or one a channel.
   * Absent: ImageNet's for RGB, 0 and 1 for depth, as in the paper. From scratch it pays to centre: a
   * LayerNorm right after the first convolution hides what is small beside the common level.
   */
  readonly mean?: number | readonly number[];
  readonly std?: number | readonly number[];
  /** How far training samples' values are moved, before they are normalised. Absent: not at all. */
  readonly jitter?: Jitter;
}

/**
 * Random levels of a training sample: a value v of [0, 1] becomes gain · v + offset, with one gain and
 * one offset a sample. What was not measured and what was padded stays 0.
 */
export interface Jitter {
  /** The gain is drawn from 1 / (1 + gain) to 1 + gain, evenly in its logarithm. Default 0. */
  readonly gain?: number;
  /** The offset is drawn from −offset to offset. Depth alone has one. Default 0. */
  readonly offset?: number;
}

/** Mean and standard deviation of ImageNet's RGB in [0, 1]. */
export const IMAGENET_MEAN = [0.485, 0.456, 0.406] as const;
export const IMAGENET_STD = [0.229, 0.224, 0.225] as const;

/** A decoded modality: the raw pixels, and how a pixel reads as a number: (raw − offset) / divisor. */
export interface Plane extends Picture {
  readonly data: Uint8Array | Uint16Array;
  readonly offset: number;
  /** Infinity where the image is constant, so that it reads as zeros. */
  readonly divisor: number;
  readonly invalid: number | null;
  readonly normalisation: Normalisation;
}

/** What is subtracted from the number that a pixel reads as, and divided by: one value a channel. */
export interface Normalisation {
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/**
 * The normalisation of a modality: its own, or the default of its kind.
 * @throws DataError M3L_DATA_OPTIONS where there are not as many values as channels, or a std is not
 *   above 0
 */
export function normalisationOf({ name, kind, mean, std }: ModalitySpec): Normalisation {
  const colour = kind === 'rgb';
  const channels = colour ? 3 : 1;
  type Given = number | readonly number[];
  const each = (key: string, given: Given, lowest: number, expected: string) => {
    const values = typeof given === 'number' ? Array<number>(channels).fill(given) : given;
    if (values.length === channels && values.every((v) => Number.isFinite(v) && v > lowest)) {
      return values;
    }
    throw new DataError(
      'M3L_DATA_OPTIONS',
      `modality '${name}': found ${key} [${values.join(', ')}], expected ${expected}` +
        `${colour ? ', or three: red, green, blue' : ''}.`,
    );
  };
  return {
    mean: each('mean', mean ?? (colour ? IMAGENET_MEAN : 0), -Infinity, 'one number'),
    std: each('std', std ?? (colour ? IMAGENET_STD : 1), 0, 'one number above 0'),
  };
}

/**
 * The jitter of a modality.
 * @throws DataError M3L_DATA_OPTIONS for what is below 0 or not finite, and an offset of RGB
 */
export function jitterOf({ name, kind, jitter = {} }: ModalitySpec): Required<Jitter> {
  const { gain = 0, offset = 0 } = jitter;
  const good = (value: number) => Number.isFinite(value) && value >= 0;
  if (good(gain) && good(offset) && (kind === 'depth' || offset === 0)) return { gain, offset };
  throw new DataError(
    'M3L_DATA_OPTIONS',
    `modality '${name}': found jitter ${JSON.stringify(jitter)}, expected a gain` +
      `${kind === 'depth' ? ' and an offset' : ' alone'} of 0 or more.`,
  );
}

/** The plane with its values moved as one training sample's are. */
export function jittered(plane: Plane, { gain, offset }: Required<Jitter>, random: Random): Plane {
  const factor = (1 + gain) ** random.uniform(-1, 1);
  const level = random.uniform(-offset, offset);
  // A constant image reads as zeros, whatever its level.
  if (plane.divisor === Infinity) return plane;
  const divisor = plane.divisor / factor;
  return { ...plane, divisor, offset: plane.offset - level * divisor };
}

/**
 * Reads a modality. RGB reads as [0, 1]; depth as [0, 1] between the least and the greatest value of
 * the whole image (m3l.md section 7), a constant image as zeros.
 */
export async function readPlane(spec: ModalitySpec, file: string): Promise<Plane> {
  if (spec.kind === 'rgb') {
    const picture = smallIntegers(file, await readColour(file));
    const divisor = picture.data instanceof Uint16Array ? 65535 : 255;
    return { ...picture, offset: 0, divisor, invalid: null, normalisation: normalisationOf(spec) };
  }
  if (spec.kind !== 'depth') {
    throw new DataError(
      'M3L_DATA_OPTIONS',
      `modality '${spec.name}': found kind '${spec.kind}', expected 'rgb' or 'depth'.`,
    );
  }
  const picture = smallIntegers(file, await readGrey(file));
  const invalid = spec.invalid ?? null;
  const [least, greatest] = native().extremes(picture.data, invalid ?? -1);
  const divisor = greatest > least ? greatest - least : Infinity;
  const normalisation = normalisationOf(spec);
  return { ...picture, offset: greatest < 0 ? 0 : least, divisor, invalid, normalisation };
}

/** @throws DataError M3L_IMAGE_FORMAT for values of more than 16 bits, signed ones and fractions */
export function smallIntegers<P extends Picture>(
  file: string,
  picture: P,
): P & { data: Uint8Array | Uint16Array } {
  const { data } = picture;
  if (data instanceof Uint8Array || data instanceof Uint16Array) return { ...picture, data };
  throw new DataError(
    'M3L_IMAGE_FORMAT',
    `${file}: found a ${data.constructor.name} of values, expected unsigned integers of 8 or 16 bits.`,
  );
}
