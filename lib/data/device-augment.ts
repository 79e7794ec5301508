/**
 * The augmentation as tensor operations, a whole batch at a time: the stored pixels of all samples lie
 * one after another in one tensor a modality, and the geometries become indices into it. Gives what
 * `augment.ts` gives, on whatever device.
 */

import { checkArguments } from '../torch/check-arguments.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import * as is from '../torch/rules.js';
import { IGNORE_LABEL } from './classes.js';
import { type Batch, requireEqualSizes } from './collate.js';
import { columnTaps, covered, rowTaps } from './geometry.js';
import { kindOf, type ModalitySpec } from './modality.js';
import type { Plane } from './plane.js';
import { modalitySpecShape, rawSampleShape } from './rules.js';
import type { RawSample } from './sample-loader.js';
import { stage, stageValues } from './staging.js';

/**
 * Crops, scales, flips, pads and normalises samples of equal output sizes. The tensors belong to no
 * scope: whoever gets the batch disposes of it.
 * @throws DataError M3L_LABEL_SIZES where the labels differ in size
 */
export function augmentBatch(
  samples: readonly RawSample[],
  specs: readonly ModalitySpec[],
  device = 'cpu',
): Batch {
  checkArguments(
    'augmentBatch',
    { samples, specs, device },
    { samples: is.listOf(rawSampleShape), specs: is.listOf(modalitySpecShape), device: is.text },
  );

  requireEqualSizes(samples);
  return torch.detached(() =>
    torch.scope(() => {
      const places = placesOf(samples, device);
      return {
        names: samples.map(({ name }) => name),
        modalities: specs.map((spec, m) => {
          const made = kindOf(spec).interpolation === 'bilinear' ? mixed : nearest;
          return made(samples, m, places, device);
        }),
        labels: labels(samples, places, device),
        valid: samples[0]!.training ? places.padded.logicalNot() : null,
      };
    }),
  );
}

/** Where the output's pixels lie in the flat source. */
interface Places {
  /** Flat indices, [B · H · W] int32: those of nearest neighbour; all four neighbours of bilinear. */
  nearest: Tensor;
  neighbours(row: 'low' | 'high', column: 'low' | 'high'): Tensor;
  /** Weight of the higher neighbours: [B, H, 1, 1] and [B, 1, W, 1] float32. */
  rowWeight: Tensor;
  columnWeight: Tensor;
  /** [B, H, W] bool: outside of the picture. */
  padded: Tensor;
}

function placesOf(samples: readonly RawSample[], device: string): Places {
  const { height, width } = samples[0]!;
  const count = samples.length;
  const rows = new Axis(count, height);
  const columns = new Axis(count, width);
  let base = 0;
  samples.forEach(({ geometry, source, rectangle }, b) => {
    const { x0, y0 } = covered(geometry);
    rows.place(b, y0, rowTaps(source[0], geometry), rectangle.width, base, rectangle.top);
    columns.place(b, x0, columnTaps(source[1], geometry), 1, 0, rectangle.left);
    base += rectangle.width * rectangle.height;
  });
  const down = rows.tensors([count, height, 1], device);
  const across = columns.tensors([count, 1, width], device);
  return {
    nearest: down.nearest.add(across.nearest).reshape([-1]),
    neighbours: (row, column) => down[row].add(across[column]).reshape([-1]),
    rowWeight: down.weight.unsqueeze(3),
    columnWeight: across.weight.unsqueeze(3),
    padded: down.padded.logicalOr(across.padded),
  };
}

/** The rows (or columns) of all outputs: B × `length`. Padding reads any pixel, which is then dropped. */
class Axis {
  private readonly low: Int32Array;
  private readonly high: Int32Array;
  private readonly nearest: Int32Array;
  private readonly weight: Float32Array;
  private readonly padded: Uint8Array;

  constructor(
    count: number,
    private readonly length: number,
  ) {
    this.low = new Int32Array(count * length);
    this.high = new Int32Array(count * length);
    this.nearest = new Int32Array(count * length);
    this.weight = new Float32Array(count * length);
    this.padded = new Uint8Array(count * length).fill(1);
  }

  /** Sample b's source index i, counted from `origin`, lies at `base` + i · `step`. */
  place(
    b: number,
    start: number,
    taps: ReturnType<typeof rowTaps>,
    step: number,
    base: number,
    origin: number,
  ): void {
    const at = b * this.length;
    const flat = (index: number) => base + (index - origin) * step;
    this.low.fill(base, at, at + this.length).set(taps.low.map(flat), at + start);
    this.high.fill(base, at, at + this.length).set(taps.high.map(flat), at + start);
    this.nearest.fill(base, at, at + this.length).set(taps.nearest.map(flat), at + start);
    this.weight.set(taps.weight, at + start);
    this.padded.fill(0, at + start, at + start + taps.low.length);
  }

  tensors(shape: readonly number[], device: string) {
    const tensor = (values: Int32Array | Float32Array | Uint8Array) =>
      stageValues(values, shape, device);
    return {
      low: tensor(this.low),
      high: tensor(this.high),
      nearest: tensor(this.nearest),
      weight: tensor(this.weight),
      padded: tensor(this.padded).to('bool'),
    };
  }
}

/** [B, 3, H, W] float32: bilinear between the stored values, then normalised. */
function mixed(samples: readonly RawSample[], m: number, places: Places, device: string): Tensor {
  const { height, width, planes } = samples[0]!;
  const { channels } = planes[m]!;
  const pixels = stored(samples, m, device);
  const read = (row: 'low' | 'high', column: 'low' | 'high') =>
    widened(pixels.indexSelect(0, places.neighbours(row, column)))
      .to('float32')
      .reshape([samples.length, height, width, channels]);
  const above = read('low', 'low').lerp(read('low', 'high'), places.columnWeight);
  const below = read('high', 'low').lerp(read('high', 'high'), places.columnWeight);
  const scaled = above
    .lerp(below, places.rowWeight)
    .maskedFill(places.padded.unsqueeze(3), 0)
    .div(perSample(samples, m, ({ divisor }) => divisor, 4, device));
  const made = normalised(scaled, samples, m, device).contiguous();
  return made.expand([samples.length, 3, height, width]);
}

/** [B, 3, H, W] float32, the three channels in the same memory: nearest neighbour, then normalised. */
function nearest(samples: readonly RawSample[], m: number, places: Places, device: string): Tensor {
  const { height, width } = samples[0]!;
  const shape = [samples.length, height, width];
  const raw = widened(stored(samples, m, device).indexSelect(0, places.nearest)).reshape(shape);
  const each = (number: (plane: Plane) => number) => perSample(samples, m, number, 3, device);
  let scaled = raw
    .to('float32')
    .sub(each(({ offset }) => offset))
    .div(each(({ divisor }) => divisor));
  if (samples.some(({ planes }) => planes[m]!.bounds.some(Number.isFinite))) {
    scaled = scaled
      .maximum(each(({ bounds }) => bounds[0]))
      .minimum(each(({ bounds }) => bounds[1]));
  }
  scaled = scaled.maskedFill(nothing(raw, samples, m, places.padded), 0);
  const one = normalised(scaled.unsqueeze(3), samples, m, device);
  return one.expand([samples.length, 3, height, width]);
}

/** [B, H, W] bool: what was not measured, or padded. */
function nothing(raw: Tensor, samples: readonly RawSample[], m: number, padded: Tensor): Tensor {
  if (raw.dtype === 'float32') return padded.logicalOr(raw.isnan());
  const { invalid } = samples[0]!.planes[m]!;
  return invalid === null ? padded : padded.logicalOr(raw.eq(invalid));
}

/** [B, H, W, C] in [0, 1] to a normalised [B, C, H, W], a view. All samples' planes say the same. */
function normalised(
  values: Tensor,
  samples: readonly RawSample[],
  m: number,
  device: string,
): Tensor {
  const { mean, std } = samples[0]!.planes[m]!.normalisation;
  const plain = mean.every((value) => value === 0) && std.every((value) => value === 1);
  const channels = (numbers: readonly number[]) =>
    stageValues(Float32Array.from(numbers), [numbers.length], device);
  const result = plain ? values : values.sub(channels(mean)).div(channels(std));
  return result.permute([0, 3, 1, 2]);
}

/** [B, labelHeight, labelWidth] int64; null where one is unlabelled. */
function labels(samples: readonly RawSample[], places: Places, device: string): Tensor | null {
  const { training, labelHeight, labelWidth } = samples[0]!;
  const arrays = samples.map(({ label }) => label);
  if (!arrays.every((array) => array !== null)) return null;
  const shape = [samples.length, labelHeight, labelWidth];
  const flat = stage(
    arrays.map((array) => torch.tensor(array)),
    device,
  );
  if (!training) return flat.reshape(shape).to('int64');
  const cropped = flat.indexSelect(0, places.nearest).reshape(shape);
  return cropped.maskedFill(places.padded, IGNORE_LABEL).to('int64');
}

/** The stored values of all samples, [N, 3] or [N]: uint8, the bits of 16 in int16, or float32. */
function stored(samples: readonly RawSample[], m: number, device: string): Tensor {
  const planes = samples.map((sample) => sample.planes[m]!);
  const has = (type: typeof Uint16Array | typeof Float32Array) =>
    planes.some(({ data }) => data instanceof type);
  const dtype = has(Float32Array) ? 'float32' : has(Uint16Array) ? 'int16' : 'uint8';
  const parts = planes.map((plane) => {
    const { data, channels } = plane;
    const shape = channels === 1 ? [data.length] : [data.length / channels, channels];
    const own =
      data instanceof Uint16Array
        ? torch.fromBytes(data, 'int16', shape)
        : torch.tensor(data, { shape });
    if (own.dtype === dtype) return own;
    if (dtype === 'int16') return own.to(dtype);
    // Among floats a hole is NaN, and any number may be measured.
    const floats = widened(own).to(dtype);
    const { invalid } = plane;
    return invalid === null ? floats : floats.maskedFill(floats.eq(invalid), Number.NaN);
  });
  return stage(parts, device);
}

/** libtorch computes little in uint16: its bits, read as int16, become int32. */
function widened(values: Tensor): Tensor {
  return values.dtype === 'int16' ? values.to('int32').bitwiseAnd(0xffff) : values;
}

/** A number of each sample's plane, to broadcast over [B, …] of `dimensions` dimensions. */
function perSample(
  samples: readonly RawSample[],
  m: number,
  number: (plane: Plane) => number,
  dimensions: number,
  device: string,
): Tensor {
  const values = Float32Array.from(samples, ({ planes }) => number(planes[m]!));
  const shape = [samples.length, ...Array(dimensions - 1).fill(1)];
  return stageValues(values, shape, device);
}
