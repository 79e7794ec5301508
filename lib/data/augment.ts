/** The pixels that a geometry asks for, made on the CPU. `device-augment.ts` makes the same of tensors. */

import { columnTaps, covered, type Geometry, rowTaps, type Taps } from './geometry.js';
import { IMAGENET_MEAN, IMAGENET_STD, type Plane } from './modality.js';

/** What black becomes. */
const LEVEL = IMAGENET_MEAN.map((mean, c) => -mean / IMAGENET_STD[c]!) as [number, number, number];

/**
 * RGB as [3, height, width], ImageNet-normalised. Bilinear with half-pixel centres, no antialiasing;
 * only the window's pixels are computed. Padding is black *before* the normalisation, as in the paper:
 * a padded pixel reads −mean / std, not 0.
 */
export function sampleColour(plane: Plane, g: Geometry): Float32Array {
  const size = g.width * g.height;
  const out = new Float32Array(3 * size);
  const { x0, x1, y0, y1 } = covered(g);
  const count = x1 - x0;
  if (count * (y1 - y0) < size) {
    for (let c = 0; c < 3; c++) {
      out.fill(LEVEL[c]!, c * size, (c + 1) * size);
    }
  }
  const down = rowTaps(plane.height, g);
  const lines = new StretchedRows(plane, columnTaps(plane.width, g));
  for (let y = y0; y < y1; y++) {
    const above = lines.row(down.low[y - y0]!);
    const weight = down.weight[y - y0]!;
    const below = weight === 0 ? above : lines.row(down.high[y - y0]!);
    for (let c = 0; c < 3; c++) {
      mixInto(out, c * size + y * g.width + x0, above, below, c * count, count, weight);
    }
  }
  return out;
}

function mixInto(
  out: Float32Array,
  to: number,
  above: Float64Array,
  below: Float64Array,
  from: number,
  count: number,
  weight: number,
): void {
  for (let x = 0; x < count; x++) {
    const upper = above[from + x]!;
    out[to + x] = upper + (below[from + x]! - upper) * weight;
  }
}

/** Normalised source rows stretched to the output's columns, [3, columns]; the last two are kept. */
class StretchedRows {
  private readonly kept: { index: number; values: Float64Array }[];
  private readonly scale: number[];

  constructor(
    private readonly plane: Plane,
    private readonly across: Taps,
  ) {
    this.scale = IMAGENET_STD.map((std) => 1 / (plane.divisor * std));
    const values = () => new Float64Array(3 * across.weight.length);
    this.kept = [
      { index: -1, values: values() },
      { index: -1, values: values() },
    ];
  }

  row(index: number): Float64Array {
    const [older, newer] = this.kept as [(typeof this.kept)[0], (typeof this.kept)[0]];
    if (newer.index === index) return newer.values;
    this.kept.reverse();
    if (older.index !== index) {
      this.stretch(index, older.values);
      older.index = index;
    }
    return older.values;
  }

  private stretch(index: number, into: Float64Array): void {
    const { low, high, weight } = this.across;
    const { data, width } = this.plane;
    const [redScale, greenScale, blueScale] = this.scale as [number, number, number];
    const [redLevel, greenLevel, blueLevel] = LEVEL;
    const count = weight.length;
    const start = index * width;
    for (let x = 0; x < count; x++) {
      const a = 3 * (start + low[x]!);
      const b = 3 * (start + high[x]!);
      const w = weight[x]!;
      const red = data[a]!;
      const green = data[a + 1]!;
      const blue = data[a + 2]!;
      into[x] = (red + (data[b]! - red) * w) * redScale + redLevel;
      into[count + x] = (green + (data[b + 1]! - green) * w) * greenScale + greenLevel;
      into[2 * count + x] = (blue + (data[b + 2]! - blue) * w) * blueScale + blueLevel;
    }
  }
}

/**
 * A one-channel modality as [height, width], nearest neighbour: in [0, 1], then normalised where its
 * specification says so. Padding and holes are 0 before the normalisation.
 */
export function sampleDepth(plane: Plane, g: Geometry): Float32Array {
  const { data, offset, divisor, mean, std } = plane;
  const hole = plane.invalid ?? -1;
  const out = new Float32Array(g.width * g.height);
  const nothing = (0 - mean) / std;
  if (nothing !== 0) out.fill(nothing);
  const { x0, x1, y0, y1 } = covered(g);
  const columns = columnTaps(plane.width, g).nearest;
  const rows = rowTaps(plane.height, g).nearest;
  for (let y = y0; y < y1; y++) {
    const from = rows[y - y0]! * plane.width;
    for (let x = x0, to = y * g.width + x0; x < x1; x++, to++) {
      const raw = data[from + columns[x - x0]!]!;
      if (raw !== hole) out[to] = ((raw - offset) / divisor - mean) / std;
    }
  }
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
  const { x0, x1, y0, y1 } = covered(g);
  const columns = columnTaps(width, g).nearest;
  const rows = rowTaps(height, g).nearest;
  for (let y = y0; y < y1; y++) {
    const from = rows[y - y0]! * width;
    for (let x = x0, to = y * g.width + x0; x < x1; x++, to++) {
      out[to] = labels[from + columns[x - x0]!]!;
    }
  }
  return out;
}

/** [height, width]: 1 where the picture is, 0 where it was padded. */
export function validMask(g: Geometry): Uint8Array {
  const out = new Uint8Array(g.width * g.height);
  const { x0, x1, y0, y1 } = covered(g);
  for (let y = y0; y < y1; y++) out.fill(1, y * g.width + x0, y * g.width + x1);
  return out;
}
