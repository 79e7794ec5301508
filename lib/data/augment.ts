/**
 * The pixels that a geometry asks for, made on the CPU by the addon. `device-augment.ts` makes the same
 * of tensors.
 */

import { columnTaps, covered, type Geometry, rowTaps, type Taps } from './geometry.js';
import { native, type Window } from './native.js';
import type { Plane } from './plane.js';

/** A plane as [channels, height, width], normalised. */
export function samplePlane(plane: Plane, g: Geometry): Float32Array {
  if (plane.interpolation === 'nearest') return sampleNearest(plane, g);
  return plane.channels === 3 ? sampleColour(plane, g) : sampleGrey(plane, g);
}

/**
 * Bilinear with half-pixel centres, no antialiasing; only the window's pixels are computed. Padding is
 * black *before* the normalisation, as in the paper: a padded pixel reads −mean / std, not 0.
 */
function sampleColour(plane: Plane, g: Geometry): Float32Array {
  const { data, width, divisor } = plane;
  const { mean, std } = plane.normalisation;
  const scale = std.map((value) => 1 / (divisor * value));
  const level = mean.map((value, c) => -value / std[c]!);
  const normalisation = Float32Array.from([...scale, ...level]);
  const out = floats(3 * g.width * g.height);
  native().sampleColour(data, width, ...mixed(plane, g), ...windowOf(g), normalisation, out);
  return out;
}

/** The same of one channel. */
function sampleGrey(plane: Plane, g: Geometry): Float32Array {
  const { data, width, divisor } = plane;
  const [mean, std] = [plane.normalisation.mean[0]!, plane.normalisation.std[0]!];
  const normalisation = [1 / (divisor * std), -mean / std] as const;
  const out = floats(g.width * g.height);
  native().sampleGrey(data, width, ...mixed(plane, g), ...windowOf(g), ...normalisation, out);
  return out;
}

/** One channel, nearest neighbour. Padding and holes are 0 before the normalisation. */
function sampleNearest(plane: Plane, g: Geometry): Float32Array {
  const { data, width, height, offset, divisor, bounds, normalisation, invalid } = plane;
  const [mean, std] = [normalisation.mean[0]!, normalisation.std[0]!];
  const out = floats(g.width * g.height);
  const across = columnTaps(width, g).nearest;
  const down = rowTaps(height, g).nearest;
  const reading = [offset, divisor, ...bounds, mean, std, invalid ?? -1] as const;
  native().sampleDepth(data, width, across, down, ...windowOf(g), ...reading, out);
  return out;
}

/** Labels as [height, width], nearest neighbour, padded with `padding` (255: ignore). */
export function sampleLabels(
  labels: Uint8Array,
  width: number,
  height: number,
  g: Geometry,
  padding: number,
): Uint8Array {
  const out = new Uint8Array(g.width * g.height);
  const across = columnTaps(width, g).nearest;
  const down = rowTaps(height, g).nearest;
  native().sampleLabels(labels, width, across, down, ...windowOf(g), padding, out);
  return out;
}

/** [height, width]: 1 where the picture is, 0 where it was padded. */
export function validMask(g: Geometry): Uint8Array {
  const out = new Uint8Array(g.width * g.height);
  const { x0, x1, y0, y1 } = covered(g);
  for (let y = y0; y < y1; y++) out.fill(1, y * g.width + x0, y * g.width + x1);
  return out;
}

/** The taps of bilinear, across and down. */
function mixed({ width, height }: Plane, g: Geometry) {
  const three = ({ low, high, weight }: Taps) => [low, high, weight] as const;
  return [...three(columnTaps(width, g)), ...three(rowTaps(height, g))] as const;
}

/** Not set to zeros first: every element is written. */
function floats(count: number): Float32Array {
  const { buffer, byteOffset } = Buffer.allocUnsafeSlow(4 * count);
  return new Float32Array(buffer, byteOffset, count);
}

function windowOf(g: Geometry): Window {
  return [g.padLeft, g.padTop, g.width, g.height];
}
