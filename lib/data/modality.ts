/** What a user says of a modality, checked against its kind. */

import { checkArguments } from '../torch/check-arguments.js';
import * as is from '../torch/rules.js';
import { DataError } from './errors.js';
import { readChannels } from './image.js';
import { type ImageSource, imageSource } from './image-source.js';
import type { KindKey, ModalityKind } from './kinds/kind.js';
import { KIND_NAMES, KINDS, type KindName } from './kinds/registry.js';
import type { Picture } from './picture.js';
import type { Normalisation, Plane } from './plane.js';
import { modalitySpecShape } from './rules.js';

/** One channel of an image: by its colour, or its index from 0. */
export type Channel = (typeof CHANNELS)[number] | number;

/** Names of the channels of a picture. */
export const CHANNELS = ['red', 'green', 'blue', 'alpha'] as const;

/**
 * A modality. Its kind says what the values mean: `rgb` is colour, `grey` brightness of one channel,
 * `depth` any measurement of one channel (depth, disparity, height).
 */
export interface ModalitySpec {
  readonly name: string;
  readonly kind: KindName;
  /**
   * Raw values of depth that mean "nothing measured": they take no part in the minimum and maximum and
   * become 0. NaN and infinities never count. Absent: every other value does, as in the paper.
   */
  readonly invalid?: number | readonly number[];
  /**
   * [least, greatest] value, in units of raw · `scale`, that become 0 and 1; values beyond clamp.
   * Absent: of depth the least and the greatest of each image, as in the paper; of brightness the
   * whole range of the stored type.
   */
  readonly range?: readonly [number, number];
  /** The unit that `range` is in, of a raw value: 0.001 for metres of millimetres. Default 1. */
  readonly scale?: number;
  /** The channel of a colour image that a modality of one channel is. */
  readonly channel?: Channel;
  /**
   * Subtracted after the scaling to [0, 1], and divided by; for RGB one number, or one a channel.
   * Absent: ImageNet's for RGB, their averages 0.449 and 0.226 for grey, 0 and 1 for depth, as in the
   * paper. From scratch it pays to centre: a LayerNorm right after the first convolution hides what
   * is small beside the common level.
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

/**
 * The kind of a modality.
 * @throws DataError M3L_DATA_OPTIONS for a kind that there is not
 */
export function kindOf(spec: Pick<ModalitySpec, 'name' | 'kind'>): ModalityKind {
  checkArguments(
    'kindOf',
    { spec },
    { spec: is.shape('options', { name: is.text, kind: is.text }) },
  );
  const { name, kind } = spec;

  if (Object.hasOwn(KINDS, kind)) return KINDS[kind];
  const known = KIND_NAMES.map((one) => `'${one}'`);
  throw invalid(
    name,
    `found kind '${kind}', expected ${known.slice(0, -1).join(', ')} or ${known.at(-1)}.`,
  );
}

/**
 * Checks all that a modality says.
 * @throws DataError M3L_DATA_OPTIONS
 */
export function checkModality(spec: ModalitySpec): void {
  checkArguments('checkModality', { spec }, { spec: modalitySpecShape });

  const { name } = spec;
  const { keys } = kindOf(spec);
  normalisationOf(spec);
  jitterOf(spec);
  rawRangeOf(spec);
  for (const key of ['invalid', 'channel'] as const satisfies KindKey[]) {
    if (spec[key] === undefined || keys.includes(key)) continue;
    throw invalid(name, `'${key}' has no meaning for ${spec.kind}; remove it.`);
  }
  const { channel } = spec;
  const known = CHANNELS as readonly unknown[];
  if (channel === undefined || known.includes(channel)) return;
  if (Number.isInteger(channel) && Number(channel) >= 0) return;
  throw invalid(
    name,
    `found channel '${channel}', expected ${CHANNELS.join(', ')}, or an index from 0.`,
  );
}

/**
 * The normalisation of a modality: its own, or the default of its kind.
 * @throws DataError M3L_DATA_OPTIONS where there are not as many values as channels, or a std is not
 *   above 0
 */
export function normalisationOf(spec: ModalitySpec): Normalisation {
  checkArguments('normalisationOf', { spec }, { spec: modalitySpecShape });

  const { channels, mean, std } = kindOf(spec);
  type Given = number | readonly number[];
  const each = (key: string, given: Given, lowest: number, expected: string) => {
    const values = typeof given === 'number' ? Array<number>(channels).fill(given) : given;
    if (values.length === channels && values.every((v) => Number.isFinite(v) && v > lowest)) {
      return values;
    }
    const more = channels === 3 ? ', or three: red, green, blue' : '';
    throw invalid(spec.name, `found ${key} [${values.join(', ')}], expected ${expected}${more}.`);
  };
  return {
    mean: each('mean', spec.mean ?? mean, -Infinity, 'one number'),
    std: each('std', spec.std ?? std, 0, 'one number above 0'),
  };
}

/**
 * The jitter of a modality.
 * @throws DataError M3L_DATA_OPTIONS for what is below 0 or not finite, and an offset of a kind that
 *   has none
 */
export function jitterOf(spec: ModalitySpec): Required<Jitter> {
  checkArguments('jitterOf', { spec }, { spec: modalitySpecShape });

  const { jitter = {} } = spec;
  const { gain = 0, offset = 0 } = jitter;
  const moves = kindOf(spec).keys.includes('jitter.offset');
  const good = (value: number) => Number.isFinite(value) && value >= 0;
  if (good(gain) && good(offset) && (moves || offset === 0)) return { gain, offset };
  throw invalid(
    spec.name,
    `found jitter ${JSON.stringify(jitter)}, expected a gain` +
      `${moves ? ' and an offset' : ' alone'} of 0 or more.`,
  );
}

/**
 * The fixed range of a modality in raw values; null where each image has its own.
 * @throws DataError M3L_DATA_OPTIONS
 */
function rawRangeOf({ name, range, scale }: ModalitySpec): [number, number] | null {
  if (scale !== undefined && !(Number.isFinite(scale) && scale > 0)) {
    throw invalid(name, `found scale ${scale}, expected a number above 0.`);
  }
  if (range === undefined) {
    if (scale === undefined) return null;
    throw invalid(
      name,
      "'scale' is the unit of 'range' and changes nothing without it: give a range, or remove it.",
    );
  }
  const [least, greatest] = range;
  if (!(Number.isFinite(least) && Number.isFinite(greatest) && least < greatest)) {
    throw invalid(name, `found range [${range.join(', ')}], expected [least, greatest].`);
  }
  return [least / (scale ?? 1), greatest / (scale ?? 1)];
}

/**
 * Reads a modality as its kind says: RGB and grey read as [0, 1]; depth as [0, 1] between the least and
 * the greatest value of the whole image (m3l.md section 7), a constant image as zeros, or between
 * those of `range`.
 * @param channels reads all channels of a file, of which `channel` takes one
 * @throws DataError as the readers of images; M3L_DATA_OPTIONS
 */
export async function readPlane(
  spec: ModalitySpec,
  file: ImageSource,
  channels: (file: ImageSource) => Promise<Picture> = readChannels,
): Promise<Plane> {
  checkArguments(
    'readPlane',
    { spec, file, channels },
    { spec: modalitySpecShape, file: imageSource, channels: is.callback },
  );

  const { read, interpolation } = kindOf(spec);
  const { name, channel = null, invalid: given = [] } = spec;
  const holes = (typeof given === 'number' ? [given] : given).filter(Number.isFinite);
  const range = rawRangeOf(spec);
  const normalisation = normalisationOf(spec);
  const reading = await read({ name, file, channel, range, holes, channels });
  return { ...reading, interpolation, normalisation };
}

function invalid(name: string, message: string): DataError {
  return new DataError('M3L_DATA_OPTIONS', `modality '${name}': ${message}`);
}
