import { checkArguments } from '../torch/check-arguments.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import * as is from '../torch/rules.js';
import { DataError } from './errors.js';
import { kindOf, type ModalitySpec } from './modality.js';
import { batchShape, loadedSampleShape, modalitySpecShape } from './rules.js';
import type { LoadedSample, RawSample } from './sample-loader.js';
import { stageArrays } from './staging.js';

/** What a model trains on or is evaluated on. */
export interface Batch {
  names: string[];
  /**
   * M × [B, 3, H, W] float32, normalised; those of one channel, as depth is, as three equal ones
   * (which share their memory: not to be written to).
   */
  modalities: Tensor[];
  /** [B, H, W] int64, 255 = ignore; in evaluation at the labels' own size. Null where unlabelled. */
  labels: Tensor | null;
  /** [B, H, W] bool, false where padded; null where nothing can be. */
  valid: Tensor | null;
}

/**
 * Stacks samples of equal sizes. The tensors belong to no scope: whoever gets the batch disposes of it.
 * @throws DataError M3L_LABEL_SIZES where the labels differ in size
 */
export function collate(
  samples: readonly LoadedSample[],
  specs: readonly ModalitySpec[],
  device = 'cpu',
): Batch {
  checkArguments(
    'collate',
    { samples, specs, device },
    { samples: is.listOf(loadedSampleShape), specs: is.listOf(modalitySpecShape), device: is.text },
  );

  requireEqualSizes(samples);
  const { height, width, labelHeight, labelWidth } = samples[0]!;
  const shape = [samples.length, height, width];
  const labelShape = [samples.length, labelHeight, labelWidth];
  const labels = samples.map((sample) => sample.label);
  const valid = samples.map((sample) => sample.valid);
  return torch.detached(() =>
    torch.scope(() => ({
      names: samples.map((sample) => sample.name),
      modalities: specs.map((spec, m) => stackModality(samples, spec, m, device)),
      labels: isComplete(labels) ? stackBytes(labels, labelShape, 'int64', device) : null,
      valid: isComplete(valid) ? stackBytes(valid, shape, 'bool', device) : null,
    })),
  );
}

/** Releases the tensors of a batch; a second call does nothing. */
export function disposeBatch(batch: Batch): void {
  checkArguments('disposeBatch', { batch }, { batch: batchShape });
  const { modalities, labels, valid } = batch;

  torch.dispose([...modalities, labels, valid]);
}

/** Cuts a batch wherever the size of the next sample is another one. */
export function groupBySize<S extends LoadedSample | RawSample>(samples: readonly S[]): S[][] {
  const groups: S[][] = [];
  for (const sample of samples) {
    const last = groups.at(-1)?.[0];
    if (last && fits(last, sample)) groups.at(-1)!.push(sample);
    else groups.push([sample]);
  }
  return groups;
}

function stackModality(
  samples: readonly LoadedSample[],
  spec: ModalitySpec,
  m: number,
  device: string,
): Tensor {
  const { height, width } = samples[0]!;
  const { channels } = kindOf(spec);
  const planes = samples.map((sample) => sample.planes[m]!);
  const stacked = stageArrays(planes, 'float32', [samples.length, channels, height, width], device);
  return stacked.expand([samples.length, 3, height, width]);
}

function stackBytes(
  arrays: readonly Uint8Array[],
  shape: readonly number[],
  dtype: 'int64' | 'bool',
  device: string,
): Tensor {
  if (dtype === 'bool') return stageArrays(arrays, 'bool', shape, device);
  // Bytes travel to a GPU, and widen there.
  if (device.startsWith('cuda')) return stageArrays(arrays, 'uint8', shape, device).to(dtype);
  return torch.fromBytes(arrays.map(widened), dtype, shape);
}

/** As 64-bit integers. libtorch would do it with all of its threads, beside those of the loader. */
function widened(bytes: Uint8Array): Int32Array {
  const words = new Int32Array(2 * bytes.length);
  for (let i = 0; i < bytes.length; i++) words[2 * i] = bytes[i]!;
  return words;
}

/** @throws DataError M3L_LABEL_SIZES where outputs or labels differ in size */
export function requireEqualSizes(samples: readonly (LoadedSample | RawSample)[]): void {
  const [first] = samples as [LoadedSample];
  const odd = samples.find((sample) => !fits(first, sample));
  if (odd) throw unequalSizes(first, odd);
}

function fits(a: LoadedSample | RawSample, b: LoadedSample | RawSample): boolean {
  return (
    a.height === b.height &&
    a.width === b.width &&
    a.labelHeight === b.labelHeight &&
    a.labelWidth === b.labelWidth
  );
}

function isComplete(arrays: readonly (Uint8Array | null)[]): arrays is Uint8Array[] {
  return arrays.every((array) => array !== null);
}

function unequalSizes(a: LoadedSample | RawSample, b: LoadedSample | RawSample): DataError {
  const size = (s: LoadedSample | RawSample) =>
    `${s.width} × ${s.height}${s.label ? ` (label ${s.labelWidth} × ${s.labelHeight})` : ''}`;
  return new DataError(
    'M3L_LABEL_SIZES',
    `${b.name}: found ${size(b)} in a batch with ${a.name} of ${size(a)}, expected equal sizes. ` +
      "Give the evaluation a size, and iterate over the loader's batches() (it cuts batches where " +
      'the size changes) or use batchSize 1.',
  );
}
