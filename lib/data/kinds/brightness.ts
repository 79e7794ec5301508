/** What the kinds of brightness, colour and grey, have in common. */

import type { Picture, PictureData } from '../picture.js';
import { isNarrow, type Normalisation, type Reading, UNBOUNDED } from '../plane.js';

/**
 * Reads as [0, 1] over the whole range of the stored type (floats are in [0, 1] themselves), or over a
 * range of raw values; beyond it is clamped, and what is not a number is 0.
 */
export function readBrightness(
  picture: Picture,
  channels: 1 | 3,
  range: readonly [number, number] | null,
): Reading {
  const { data } = picture;
  const common = { ...picture, channels, offset: 0, bounds: UNBOUNDED, invalid: null };
  const [least, greatest] = range ?? [0, fullScale(data)];
  if (range === null && isNarrow(data)) return { ...common, data, divisor: greatest };
  // Clamped before anything is mixed: one glaring pixel must not outshine its neighbours.
  const levels = new Float32Array(data.length);
  for (let i = 0; i < data.length; i++) {
    const level = (data[i]! - least) / (greatest - least);
    levels[i] = level > 0 ? Math.min(level, 1) : 0;
  }
  return { ...common, data: levels, divisor: 1 };
}

/** The greatest value of a type. */
function fullScale(data: PictureData): number {
  if (data instanceof Float32Array || data instanceof Float64Array) return 1;
  const bits = 8 * data.BYTES_PER_ELEMENT;
  const signed = data instanceof Int16Array || data instanceof Int32Array;
  return 2 ** (signed ? bits - 1 : bits) - 1;
}

/** The byte of a normalised value. */
export function byteOf(value: number, { mean, std }: Normalisation, channel: number): number {
  const level = Math.round((value * std[channel]! + mean[channel]!) * 255);
  return Math.min(Math.max(level, 0), 255);
}
