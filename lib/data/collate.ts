import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import { DataError } from './errors.js';
import type { ModalitySpec } from './modality.js';
import type { LoadedSample } from './sample-loader.js';

/** What a model trains on or is evaluated on. */
export interface Batch {
  names: string[];
  /** M × [B, 3, H, W] float32; RGB normalised, depth in [0, 1] as three equal channels. */
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
  const { height, width, labelHeight, labelWidth } = samples[0]!;
  const odd = samples.find(
    (s) =>
      s.height !== height ||
      s.width !== width ||
      s.labelHeight !== labelHeight ||
      s.labelWidth !== labelWidth,
  );
  if (odd) throw unequalSizes(samples[0]!, odd);
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
export function disposeBatch({ modalities, labels, valid }: Batch): void {
  torch.dispose([...modalities, labels, valid]);
}

/** Cuts a batch wherever the size of the next sample is another one. */
export function groupBySize(samples: readonly LoadedSample[]): LoadedSample[][] {
  const groups: LoadedSample[][] = [];
  for (const sample of samples) {
    const last = groups.at(-1)?.[0];
    const fits =
      last &&
      last.height === sample.height &&
      last.width === sample.width &&
      last.labelHeight === sample.labelHeight &&
      last.labelWidth === sample.labelWidth;
    if (fits) groups.at(-1)!.push(sample);
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
  const size = height * width;
  const channels = spec.kind === 'rgb' ? 3 : 1;
  const data = new Float32Array(samples.length * channels * size);
  samples.forEach((sample, b) => {
    data.set(sample.planes[m]!, b * channels * size);
  });
  const stacked = torch.tensor(data, { shape: [samples.length, channels, height, width], device });
  return channels === 3 ? stacked : torch.cat([stacked, stacked, stacked], 1);
}

function stackBytes(
  arrays: readonly Uint8Array[],
  shape: readonly number[],
  dtype: 'int64' | 'bool',
  device: string,
): Tensor {
  const data = new Uint8Array(shape.reduce((product, size) => product * size, 1));
  const size = arrays[0]!.length;
  arrays.forEach((array, b) => {
    data.set(array, b * size);
  });
  // Bytes travel to the device, and widen there.
  return torch.tensor(data, { shape, device }).to(dtype);
}

function isComplete(arrays: readonly (Uint8Array | null)[]): arrays is Uint8Array[] {
  return arrays.every((array) => array !== null);
}

function unequalSizes(a: LoadedSample, b: LoadedSample): DataError {
  const size = (s: LoadedSample) =>
    `${s.width} × ${s.height}${s.label ? ` (label ${s.labelWidth} × ${s.labelHeight})` : ''}`;
  return new DataError(
    'M3L_LABEL_SIZES',
    `${b.name}: found ${size(b)} in a batch with ${a.name} of ${size(a)}, expected equal sizes. ` +
      "Give the evaluation a size, and iterate over the loader's batches() (it cuts batches where " +
      'the size changes) or use batchSize 1.',
  );
}
