/** A decoded modality: pixels, and how a pixel becomes the number that a model sees. */

import { checkArguments } from '../torch/check-arguments.js';
import * as is from '../torch/rules.js';
import type { NearestRule } from './geometry.js';
import type { Jitter } from './modality.js';
import { native } from './native.js';
import type { Picture } from './picture.js';
import type { Random } from './random.js';
import { resizeNearest, resizeSmooth } from './resize.js';
import { planeShape } from './rules.js';

/** The types that are sampled from; those of other files become float32. */
export type PlaneData = Uint8Array | Uint16Array | Float32Array;

/** How pixels between the stored ones are made: mixed, or the nearest taken as it is. */
export type Interpolation = 'bilinear' | 'nearest';

/**
 * What a kind of modality makes of a file: values, and how they read: (value − offset) / divisor, kept
 * within `bounds`. Those that are to be mixed have offset 0 and no bounds.
 */
export interface Reading extends Picture {
  readonly channels: 1 | 3;
  readonly data: PlaneData;
  readonly offset: number;
  /** Infinity where the image is constant, so that it reads as zeros. */
  readonly divisor: number;
  /** [least, greatest] of what values read as. */
  readonly bounds: readonly [number, number];
  /** The value of pixels that were not measured; null where there is none. Of float32 it is NaN. */
  readonly invalid: number | null;
}

/** What a value reads as, as far as its bounds matter: anything. */
export const UNBOUNDED = [-Infinity, Infinity] as const;

/** A modality as it was decoded. */
export interface Plane extends Reading {
  readonly interpolation: Interpolation;
  readonly normalisation: Normalisation;
}

/** What is subtracted from the number that a pixel reads as, and divided by: one value a channel. */
export interface Normalisation {
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/** The plane with its values moved as one training sample's are. */
export function jittered(plane: Plane, { gain, offset }: Required<Jitter>, random: Random): Plane {
  const factor = (1 + gain) ** random.uniform(-1, 1);
  const level = random.uniform(-offset, offset);
  // A constant image reads as zeros, whatever its level.
  if (plane.divisor === Infinity) return plane;
  const divisor = plane.divisor / factor;
  const [least, greatest] = plane.bounds;
  return {
    ...plane,
    divisor,
    offset: plane.offset - level * divisor,
    bounds: [least * factor + level, greatest * factor + level],
  };
}

/** The plane at another size: mixed with antialiasing, or its nearest pixels. */
export function resizePlane(
  plane: Plane,
  height: number,
  width: number,
  nearest?: NearestRule,
): Plane {
  checkArguments(
    'resizePlane',
    { plane, height, width, nearest },
    { plane: planeShape, height: is.finite, width: is.finite, nearest: is.maybe(is.text) },
  );

  return plane.interpolation === 'bilinear'
    ? resizeSmooth(plane, height, width)
    : resizeNearest(plane, height, width, nearest);
}

/**
 * The values as they can be sampled from: 8 and 16 bits stay, at most one of `holes` among them;
 * anything else becomes float32, counted from `base`, NaN where nothing was measured.
 * @param holes raw values that mean "nothing measured"
 */
export function asPlaneData(
  data: Picture['data'],
  base: number,
  holes: readonly number[],
): Pick<Reading, 'data' | 'offset' | 'invalid'> {
  if (isNarrow(data) && holes.length <= 1) return { data, offset: base, invalid: holes[0] ?? null };
  const floats = data instanceof Float32Array ? data : new Float32Array(data.length);
  native().toFloats(data, base, Float64Array.from(holes), floats);
  return { data: floats, offset: 0, invalid: Number.NaN };
}

/** [least, greatest] of what was measured, as `NativeImage.measure` gives it. */
export function measuredExtremes(
  data: Picture['data'],
  holes: readonly number[],
): readonly [number, number] {
  if (!isNarrow(data) || holes.length > 1) {
    return native().measure(data, Float64Array.from(holes));
  }
  const [least, greatest] = native().extremes(data, holes[0] ?? -1);
  return greatest < 0 ? [Infinity, -Infinity] : [least, greatest];
}

export function isNarrow(data: Picture['data']): data is Uint8Array | Uint16Array {
  return data instanceof Uint8Array || data instanceof Uint16Array;
}
