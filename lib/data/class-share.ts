/** Crops that hold more than one class, as DAFormer and mmsegmentation have them (`cat_max_ratio`). */

import { IGNORE_LABEL } from './classes.js';
import {
  columnTaps,
  drawGeometry,
  drawPlace,
  type Geometry,
  rowTaps,
  type TrainingTransform,
} from './geometry.js';
import type { ClassPicture } from './labels.js';
import type { Random } from './random.js';

/** How often a crop is drawn anew. */
const REDRAWS = 10;
/** Rows and columns of a crop that are looked at. */
const SAMPLES = 64;

/**
 * Draws the geometry of a labelled training sample: its crop's place anew, ten times at most, while one
 * class holds more than `mostOneClass` of the pixels with a label. The first draws are those of
 * `drawGeometry`.
 */
export function drawLabelledGeometry(
  label: ClassPicture,
  transform: TrainingTransform,
  random: Random,
): Geometry {
  let geometry = drawGeometry(label.width, label.height, transform, random);
  const { mostOneClass = null } = transform;
  const { scaledWidth, scaledHeight, width, height } = geometry;
  const moves = scaledWidth > width || scaledHeight > height;
  if (mostOneClass === null || !moves) return geometry;
  for (let k = 0; k < REDRAWS && largestShare(label, geometry) > mostOneClass; k++) {
    geometry = { ...geometry, ...drawPlace(geometry, random) };
  }
  return geometry;
}

/** The share of the most frequent class among a crop's labelled pixels; 1 where it has none. */
function largestShare({ data, width, height }: ClassPicture, geometry: Geometry): number {
  const across = columnTaps(width, geometry).nearest;
  const down = rowTaps(height, geometry).nearest;
  const step = (taps: Int32Array) => Math.ceil(taps.length / SAMPLES);
  const counts = new Uint32Array(256);
  for (let y = 0; y < down.length; y += step(down)) {
    const row = down[y]! * width;
    for (let x = 0; x < across.length; x += step(across)) counts[data[row + across[x]!]!]!++;
  }
  counts[IGNORE_LABEL] = 0;
  const total = counts.reduce((sum, count) => sum + count, 0);
  return total === 0 ? 1 : Math.max(...counts) / total;
}
