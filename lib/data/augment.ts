/** The geometry of training and evaluation pictures, and the pixels that it asks for. */

import { IMAGENET_MEAN, IMAGENET_STD, type Plane } from './modality.js';
import type { Random } from './random.js';
import { nearestIndices } from './resize.js';

/** m3l.md section 7: flip, scale, random crop, padding. */
export interface TrainingTransform {
  readonly kind: 'training';
  /** [height, width] of what comes out. */
  readonly crop: readonly [number, number];
  /** Probability of a horizontal flip. Default 0.5. */
  readonly flip?: number;
  /** Factors to draw from. Default 0.5, 0.75, 1, 1.5, 1.75, 2. */
  readonly scales?: readonly number[];
}

/** Inputs are resized to `size` [height, width] (absent: stay as they are); labels keep their size. */
export interface EvaluationTransform {
  readonly kind: 'evaluation';
  readonly size?: readonly [number, number];
}

export type Transform = TrainingTransform | EvaluationTransform;

export const TRAINING_SCALES: readonly number[] = [0.5, 0.75, 1, 1.5, 1.75, 2];

/**
 * Which part of a picture comes out: the source, mirrored if `flip`, is scaled to `scaledWidth` ×
 * `scaledHeight`; the window of it at (`left`, `top`) goes to (`padLeft`, `padTop`) of the output.
 */
export interface Geometry {
  readonly flip: boolean;
  readonly scaledWidth: number;
  readonly scaledHeight: number;
  readonly left: number;
  readonly top: number;
  readonly padLeft: number;
  readonly padTop: number;
  readonly width: number;
  readonly height: number;
}

/** Draws the geometry of one training sample: flip, scale, then the crop's place across and down. */
export function drawGeometry(
  width: number,
  height: number,
  transform: TrainingTransform,
  random: Random,
): Geometry {
  const [cropHeight, cropWidth] = transform.crop;
  const flip = random.chance(transform.flip ?? 0.5);
  const scale = random.pick(transform.scales ?? TRAINING_SCALES);
  const scaledWidth = Math.max(1, Math.round(width * scale));
  const scaledHeight = Math.max(1, Math.round(height * scale));
  const place = (scaled: number, crop: number) =>
    scaled > crop ? [random.integer(scaled - crop + 1), 0] : [0, Math.floor((crop - scaled) / 2)];
  const [left, padLeft] = place(scaledWidth, cropWidth) as [number, number];
  const [top, padTop] = place(scaledHeight, cropHeight) as [number, number];
  return {
    flip,
    scaledWidth,
    scaledHeight,
    left,
    top,
    padLeft,
    padTop,
    width: cropWidth,
    height: cropHeight,
  };
}

/** The geometry of plain resizing. */
export function resizeGeometry(width: number, height: number): Geometry {
  return {
    flip: false,
    scaledWidth: width,
    scaledHeight: height,
    left: 0,
    top: 0,
    padLeft: 0,
    padTop: 0,
    width,
    height,
  };
}

/** The rows and columns of the output that the picture reaches; outside is padding. */
function covered(g: Geometry): { x0: number; x1: number; y0: number; y1: number } {
  return {
    x0: g.padLeft,
    x1: Math.min(g.width, g.padLeft + g.scaledWidth),
    y0: g.padTop,
    y1: Math.min(g.height, g.padTop + g.scaledHeight),
  };
}

/**
 * RGB as [3, height, width], ImageNet-normalised. Bilinear with half-pixel centres, no antialiasing;
 * only the window's pixels are computed. Padding is black *before* the normalisation, as in the paper:
 * a padded pixel reads −mean / std, not 0.
 */
export function sampleColour(plane: Plane, g: Geometry): Float32Array {
  const size = g.width * g.height;
  const out = new Float32Array(3 * size);
  const { x0, x1, y0, y1 } = covered(g);
  const across = bilinearTaps(plane.width, g.scaledWidth, g.left, x1 - x0, g.flip);
  const down = bilinearTaps(plane.height, g.scaledHeight, g.top, y1 - y0, false);
  const { data } = plane;
  for (let c = 0; c < 3; c++) {
    const factor = 1 / (plane.divisor * IMAGENET_STD[c]!);
    const shift = -IMAGENET_MEAN[c]! / IMAGENET_STD[c]!;
    out.fill(shift, c * size, (c + 1) * size);
    for (let y = y0; y < y1; y++) {
      const upper = down.low[y - y0]! * plane.width;
      const lower = down.high[y - y0]! * plane.width;
      const wy = down.weight[y - y0]!;
      for (let x = x0, to = c * size + y * g.width + x0; x < x1; x++, to++) {
        const a = across.low[x - x0]!;
        const b = across.high[x - x0]!;
        const wx = across.weight[x - x0]!;
        const above = data[(upper + a) * 3 + c]! * (1 - wx) + data[(upper + b) * 3 + c]! * wx;
        const below = data[(lower + a) * 3 + c]! * (1 - wx) + data[(lower + b) * 3 + c]! * wx;
        out[to] = (above * (1 - wy) + below * wy) * factor + shift;
      }
    }
  }
  return out;
}

/**
 * A one-channel modality as [height, width], nearest neighbour: in [0, 1], then normalised where its
 * specification says so. Padding and holes are 0 before the normalisation.
 */
export function sampleDepth(plane: Plane, g: Geometry): Float32Array {
  const { data, offset, divisor, invalid, mean, std } = plane;
  const out = new Float32Array(g.width * g.height).fill((0 - mean) / std);
  forEachNearest(plane.width, plane.height, g, (to, from) => {
    const raw = data[from]!;
    const depth = raw === invalid ? 0 : (raw - offset) / divisor;
    out[to] = (depth - mean) / std;
  });
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
  const out = new Uint8Array(g.width * g.height).fill(padding);
  forEachNearest(width, height, g, (to, from) => {
    out[to] = labels[from]!;
  });
  return out;
}

/** [height, width]: 1 where the picture is, 0 where it was padded. */
export function validMask(g: Geometry): Uint8Array {
  const out = new Uint8Array(g.width * g.height);
  const { x0, x1, y0, y1 } = covered(g);
  for (let y = y0; y < y1; y++) out.fill(1, y * g.width + x0, y * g.width + x1);
  return out;
}

function forEachNearest(
  width: number,
  height: number,
  g: Geometry,
  visit: (to: number, from: number) => void,
): void {
  const { x0, x1, y0, y1 } = covered(g);
  const columns = nearestIndices(width, g.scaledWidth);
  const rows = nearestIndices(height, g.scaledHeight);
  for (let y = y0; y < y1; y++) {
    const from = rows[y - y0 + g.top]! * width;
    for (let x = x0; x < x1; x++) {
      const column = columns[x - x0 + g.left]!;
      visit(y * g.width + x, from + (g.flip ? width - 1 - column : column));
    }
  }
}

interface BilinearTaps {
  readonly low: Int32Array;
  readonly high: Int32Array;
  readonly weight: Float64Array;
}

/** For `count` target pixels from `start` on: the two source pixels, and the weight of the second. */
function bilinearTaps(
  source: number,
  target: number,
  start: number,
  count: number,
  flip: boolean,
): BilinearTaps {
  const low = new Int32Array(count);
  const high = new Int32Array(count);
  const weight = new Float64Array(count);
  for (let i = 0; i < count; i++) {
    const at = Math.max(0, ((start + i + 0.5) * source) / target - 0.5);
    const first = Math.min(source - 1, Math.floor(at));
    const second = Math.min(source - 1, first + 1);
    low[i] = flip ? source - 1 - first : first;
    high[i] = flip ? source - 1 - second : second;
    weight[i] = at - first;
  }
  return { low, high, weight };
}
