import type { SegmentationModel } from '../../models/index.js';
import type { Tensor } from '../../torch/index.js';
import * as torch from '../../torch/index.js';
import { BOUNDS, type Comparison, everyNth, relative } from './comparison.js';
import type { GoldenFile } from './golden-file.js';
import { flatByName, isUnused } from './golden-model.js';

/** Gradients under `grad.`, after a backward pass. */
export function compareGradients(
  file: GoldenFile,
  compare: Comparison,
  model: SegmentationModel,
): void {
  const gradients = flatByName(model, (parameter) => parameter.grad);
  const norms = [...gradients.values()].map((gradient) => gradient.norm().item());
  // Below a millionth of the largest a gradient is rounding noise, of some exactly so.
  const floor = 1e-6 * Math.max(...norms);
  compareNamed(file, compare, {
    group: 'gradients',
    prefix: 'grad.',
    values: gradients,
    bounds: { vector: BOUNDS.gradient, norm: BOUNDS.gradientNorm, sum: BOUNDS.sum },
    size: (_, expected) => Math.max(expected.norm().item(), floor),
    floor,
  });
}

/**
 * Trained parameters under `prefix`, where they started under `init.`. Element by element the
 * difference counts relative to how far training moved the tensor, which is far stricter than
 * relative to its values; but no movement counts as less than 1e-4 of it, where float32 ends.
 */
export function compareTrained(
  file: GoldenFile,
  compare: Comparison,
  prefix: string,
  model: SegmentationModel,
): void {
  compareNamed(file, compare, {
    group: prefix.slice(0, -1),
    prefix,
    values: flatByName(model, (parameter) => parameter),
    bounds: { vector: BOUNDS.update, norm: BOUNDS.trained, sum: BOUNDS.trained },
    size: (name, expected, pick) => {
      const start = pick(file.tensor(`init.${name}`).flatten().to({ dtype: 'float64' }));
      const moved = expected.sub(start).norm().item();
      return Math.max(moved, 1e-4 * start.norm().item());
    },
    floor: 0,
    relevant: withoutKeyBias,
  });
}

/**
 * Of a kv bias [2C] the values' half. Softmax does not see the keys' half, so its gradient is
 * rounding noise, which Adam scales up to full steps of random sign; no output depends on it.
 */
function withoutKeyBias(name: string, flat: Tensor): Tensor {
  if (!/\.kv\.(module\.)?bias$/.test(name)) return flat;
  const half = flat.numel() / 2;
  return flat.narrow(0, half, half);
}

interface NamedValues {
  group: string;
  prefix: string;
  /** Flat tensors by parameter name. */
  values: ReadonlyMap<string, Tensor>;
  bounds: { vector: number; norm: number; sum: number };
  /** What the norm of the differences of elements is relative to; `pick` takes the same elements. */
  size: (name: string, expected: Tensor, pick: (flat: Tensor) => Tensor) => number;
  /** The least that `#norm` and `#sum` are relative to. */
  floor: number;
  /** The elements of a whole tensor that mean something. */
  relevant?: (name: string, flat: Tensor) => Tensor;
}

/** Whole tensors; or of large ones `NAME#norm`, `NAME#sum` (relative to norm · √n), `NAME#every`. */
function compareNamed(file: GoldenFile, compare: Comparison, named: NamedValues): void {
  for (const key of file.under(named.prefix)) {
    const [name, summary] = key.split('#') as [string, string | undefined];
    const value = named.values.get(name);
    if (value) {
      torch.scope(() => compareOne(file, compare, named, { name, summary, value }));
    } else if (!isUnused(name)) {
      throw file.malformed(`'${named.prefix}${key}' is of no parameter of the model`);
    }
  }
}

function compareOne(
  file: GoldenFile,
  compare: Comparison,
  { group, prefix, bounds, size, floor, relevant }: NamedValues,
  { name, summary, value }: { name: string; summary: string | undefined; value: Tensor },
): void {
  const label = summary === undefined ? prefix + name : `${prefix}${name}#${summary}`;
  const wide = value.to({ dtype: 'float64', device: 'cpu' });
  if (summary === undefined || summary === 'every') {
    const expected = file.tensor(label).flatten().to({ dtype: 'float64' });
    const pick = (flat: Tensor) => {
      if (summary === 'every') return everyNth(flat, expected.numel());
      return relevant && flat.numel() === wide.numel() ? relevant(name, flat) : flat;
    };
    const wanted = summary === undefined ? pick(expected) : expected;
    compare.vector(group, label, pick(wide), wanted, size(name, wanted, pick), bounds.vector);
  } else if (summary === 'norm') {
    const expected = file.scalar(label);
    const error = Math.abs(wide.norm().item() - expected);
    compare.row(group, label, relative(error, Math.max(expected, floor)), bounds.norm);
  } else if (summary === 'sum') {
    const largest = Math.max(wide.norm().item(), floor) * Math.sqrt(wide.numel());
    const error = Math.abs(wide.sum().item() - file.scalar(label));
    compare.row(group, label, relative(error, largest), bounds.sum);
  } else {
    throw file.malformed(`'${label}' is a summary of an unknown kind`);
  }
}
