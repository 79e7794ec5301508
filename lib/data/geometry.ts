/** The geometry of training and evaluation pictures: which source pixels an output pixel is made of. */

import type { Random } from './random.js';

/**
 * Which source pixel is the nearest of a target's pixel i, where a source of s is scaled to t:
 * `half-pixel`, the one that holds the pixel's centre, ⌊(i + ½) · s / t⌋, as bilinear interpolation
 * has it; or `opencv`, that of cv2.resize and so the paper's, ⌊i · s / t⌋, half a source pixel off.
 */
export type NearestRule = 'half-pixel' | 'opencv';

/** The rule as a function of the target's index. */
export function nearestPixel(
  source: number,
  target: number,
  rule: NearestRule = 'half-pixel',
): (index: number) => number {
  const last = source - 1;
  if (rule === 'half-pixel') {
    return (index) => Math.min(last, Math.floor(((index + 0.5) * source) / target));
  }
  const step = 1 / (target / source); // rounded as OpenCV has it
  return (index) => Math.min(last, Math.floor(index * step));
}

/** m3l.md section 7: flip, scale, random crop, padding. */
export interface TrainingTransform {
  readonly kind: 'training';
  /** [height, width] of what comes out. */
  readonly crop: readonly [number, number];
  /** Probability of a horizontal flip. Default 0.5. */
  readonly flip?: number;
  /** Factors to draw from. Default 0.5, 0.75, 1, 1.5, 1.75, 2. */
  readonly scales?: readonly number[];
  /** Of depth and labels. Default `half-pixel`. */
  readonly nearest?: NearestRule;
  /**
   * A labelled sample's crop is drawn anew while one class holds more of it; null (the default): it is
   * taken as it comes.
   */
  readonly mostOneClass?: number | null;
}

/** Inputs are resized to `size` [height, width] (absent: stay as they are); labels keep their size. */
export interface EvaluationTransform {
  readonly kind: 'evaluation';
  readonly size?: readonly [number, number];
  /** Of depth. Default `half-pixel`. */
  readonly nearest?: NearestRule;
}

/** What is done to the size of a scene, for training or for evaluation. */
export type Transform = TrainingTransform | EvaluationTransform;

/** Scales of which training draws one for each picture. */
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
  /** Default `half-pixel`. */
  readonly nearest?: NearestRule;
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
  const sizes = { scaledWidth, scaledHeight, width: cropWidth, height: cropHeight };
  return { flip, ...sizes, ...drawPlace(sizes, random), nearest: transform.nearest };
}

/** Draws the place of a crop, across and then down. */
export function drawPlace(
  {
    scaledWidth,
    scaledHeight,
    width,
    height,
  }: Pick<Geometry, 'scaledWidth' | 'scaledHeight' | 'width' | 'height'>,
  random: Random,
): Pick<Geometry, 'left' | 'top' | 'padLeft' | 'padTop'> {
  const place = (scaled: number, crop: number) =>
    scaled > crop ? [random.integer(scaled - crop + 1), 0] : [0, Math.floor((crop - scaled) / 2)];
  const [left, padLeft] = place(scaledWidth, width) as [number, number];
  const [top, padTop] = place(scaledHeight, height) as [number, number];
  return { left, top, padLeft, padTop };
}

/** The geometry of plain resizing. */
export function resizeGeometry(width: number, height: number, nearest?: NearestRule): Geometry {
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
    nearest,
  };
}

/** The rows and columns of the output that the picture reaches; outside is padding. */
export interface Covered {
  readonly x0: number;
  readonly x1: number;
  readonly y0: number;
  readonly y1: number;
}

export function covered(g: Geometry): Covered {
  return {
    x0: g.padLeft,
    x1: Math.min(g.width, g.padLeft + g.scaledWidth),
    y0: g.padTop,
    y1: Math.min(g.height, g.padTop + g.scaledHeight),
  };
}

/** What the covered columns (or rows) of an output are made of, one entry each. */
export interface Taps {
  /** The two source pixels of bilinear interpolation with half-pixel centres … */
  readonly low: Int32Array;
  readonly high: Int32Array;
  /** … and the weight of the second, in [0, 1). */
  readonly weight: Float32Array;
  /** The source pixel of nearest neighbour; under `opencv` it may lie before both. */
  readonly nearest: Int32Array;
}

/** The taps across a source of `width` columns. */
export function columnTaps(width: number, g: Geometry): Taps {
  const { x0, x1 } = covered(g);
  return taps(width, g.scaledWidth, g.left, x1 - x0, g.flip, g.nearest);
}

/** The taps down a source of `height` rows. */
export function rowTaps(height: number, g: Geometry): Taps {
  const { y0, y1 } = covered(g);
  return taps(height, g.scaledHeight, g.top, y1 - y0, false, g.nearest);
}

/** For `count` target pixels from `start` on. */
function taps(
  source: number,
  target: number,
  start: number,
  count: number,
  flip: boolean,
  rule?: NearestRule,
): Taps {
  const low = new Int32Array(count);
  const high = new Int32Array(count);
  const weight = new Float32Array(count);
  const nearest = new Int32Array(count);
  const place = (index: number) => (flip ? source - 1 - index : index);
  const nearestOf = nearestPixel(source, target, rule);
  for (let i = 0; i < count; i++) {
    const centre = ((start + i + 0.5) * source) / target;
    const at = Math.max(0, centre - 0.5);
    const first = Math.min(source - 1, Math.floor(at));
    low[i] = place(first);
    high[i] = place(Math.min(source - 1, first + 1));
    weight[i] = at - first;
    nearest[i] = place(nearestOf(start + i));
  }
  return { low, high, weight, nearest };
}

/** A rectangle of source pixels. */
export interface Rectangle {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** The part of a `width` × `height` source that an output is made of. */
export function sourceRectangle(width: number, height: number, g: Geometry): Rectangle {
  const [left, right] = extent(columnTaps(width, g));
  const [top, bottom] = extent(rowTaps(height, g));
  return { left, top, width: right - left + 1, height: bottom - top + 1 };
}

/** Taps run one way: the ends are the first and the last. */
function extent({ low, high, nearest }: Taps): [number, number] {
  const ends = [low, high, nearest].flatMap((taps) => [taps[0]!, taps.at(-1)!]);
  return [Math.min(...ends), Math.max(...ends)];
}
