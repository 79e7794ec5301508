/**
 * The pixels that a geometry asks for, made on the CPU by the addon. `device-augment.ts` makes the same
 * of tensors.
 */

import { columnTaps, covered, type Geometry, rowTaps, type Taps } from './geometry.js';
import type { Plane } from './modality.js';
import { native, type Window } from './native.js';

/**
 * RGB as [3, height, width], normalised. Bilinear with half-pixel centres, no antialiasing; only the
 * window's pixels are computed. Padding is black *before* the normalisation, as in the paper: a padded
 * pixel reads −mean / std, not 0.
 */
export function sampleColour(plane: Plane, g: Geometry): Float32Array {
  const { data, width, height, divisor } = plane;
  const { mean, std } = plane.normalisation;
  const scale = std.map((value) => 1 / (divisor * value));
  const level = mean.map((value, c) => -value / std[c]!);
  const normalisation = Float32Array.from([...scale, ...level]);
  const out = floats(3 * g.width * g.height);
  const three = ({ low, high, weight }: Taps) => [low, high, weight] as const;
  const across = three(columnTaps(width, g));
  const down = three(rowTaps(height, g));
  native().sampleColour(data, width, ...across, ...down, ...windowOf(g), normalisation, out);
  return out;
}

/**
 * A one-channel modality as [height, width], nearest neighbour: in [0, 1], then normalised. Padding and
 * holes are 0 before the normalisation.
 */
export function sampleDepth(plane: Plane, g: Geometry): Float32Array {
  const { data, width, height, offset, divisor, normalisation, invalid } = plane;
  const [mean, std] = [normalisation.mean[0]!, normalisation.std[0]!];
  const out = floats(g.width * g.height);
  const across = columnTaps(width, g).nearest;
  const down = rowTaps(height, g).nearest;
  const reading = [offset, divisor, mean, std, invalid ?? -1] as const;
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

/** Not set to zeros first: every element is written. */
function floats(count: number): Float32Array {
  const { buffer, byteOffset } = Buffer.allocUnsafeSlow(4 * count);
  return new Float32Array(buffer, byteOffset, count);
}

function windowOf(g: Geometry): Window {
  return [g.padLeft, g.padTop, g.width, g.height];
}
