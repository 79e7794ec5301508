import { z } from 'zod';
import type { SegmentationModel } from '../../models/index.js';
import type { Tensor } from '../../torch/index.js';
import * as torch from '../../torch/index.js';
import { BOUNDS, type Comparison, everyNth, relative } from './comparison.js';
import type { GoldenFile } from './golden-file.js';
import { flatByName, isUnused, type State } from './golden-model.js';

/** How far from a file what it was computed with may come itself, times this, is no fault of ours. */
const MARGIN = 2;

const rounding = z.object({
  float64_deviation: z.record(z.string(), z.number()).default({}),
  rounding_sensitivity: z.record(z.string(), z.number()).default({}),
});

/**
 * Gradients under `prefix`, after a backward pass. Where the file says that another order of summation
 * moves them by more than the bounds (relative to the largest element), they are held to that instead.
 */
export function compareGradients(
  file: GoldenFile,
  compare: Comparison,
  prefix: string,
  model: SegmentationModel,
): void {
  const { float64_deviation, rounding_sensitivity } = file.facts(rounding);
  const allowed = (quantity: 'whole' | 'every' | 'norm') => {
    const key = `${prefix.slice(0, -1)}:${quantity}`;
    return MARGIN * Math.max(float64_deviation[key] ?? 0, rounding_sensitivity[key] ?? 0);
  };
  const gradients = flatByName(model, (parameter) => parameter.grad);
  const norms = [...gradients.values()].map((gradient) => gradient.norm().item());
  // Below a millionth of the largest a gradient is rounding noise, of some exactly so.
  const floor = 1e-6 * Math.max(...norms);
  compareNamed(file, compare, {
    group: 'gradients',
    prefix,
    values: gradients,
    bounds: {
      norm: Math.max(BOUNDS.gradientNorm, allowed('norm')),
      sum: Math.max(BOUNDS.sum, allowed('every')),
    },
    elements({ group, label, found, wanted }) {
      const ownBound = allowed(label.endsWith('#every') ? 'every' : 'whole');
      if (ownBound > BOUNDS.gradient) {
        compare.tensor(group, label, found, wanted, ownBound);
        return;
      }
      const size = Math.max(wanted.norm().item(), floor);
      compare.vector(group, label, found, wanted, size, BOUNDS.gradient);
    },
    floor,
  });
}

/**
 * Trained parameters under `prefix`, which started as in `start`. Element by element the difference
 * counts relative to how far training moved the tensor, which is far stricter than relative to its
 * values; but no movement counts as less than 1e-4 of it, where float32 ends.
 */
export function compareTrained(
  file: GoldenFile,
  compare: Comparison,
  prefix: string,
  model: SegmentationModel,
  start: State,
): void {
  compareNamed(file, compare, {
    group: prefix.slice(0, -1),
    prefix,
    values: flatByName(model, (parameter) => parameter),
    bounds: { norm: BOUNDS.trained, sum: BOUNDS.trained },
    elements({ group, label, name, found, wanted, pick }) {
      const began = pick(start[name]!.flatten().to({ dtype: 'float64', device: 'cpu' }));
      const moved = wanted.sub(began).norm().item();
      const size = Math.max(moved, 1e-4 * began.norm().item());
      compare.vector(group, label, found, wanted, size, BOUNDS.update);
    },
    floor: 0,
    relevant: withoutKeyBias,
  });
}

/** How far training moved the parameters that started as in `start`: each element, under `prefix`. */
export function compareMoved(
  file: GoldenFile,
  compare: Comparison,
  prefix: string,
  model: SegmentationModel,
  start: State,
): void {
  const began = new Map(Object.entries(start));
  const moved = [...flatByName(model, (parameter) => parameter)].map(
    ([name, parameter]): [string, Tensor] => {
      const from = began.get(name)!.flatten().to({ dtype: 'float64', device: 'cpu' });
      return [name, parameter.to({ dtype: 'float64', device: 'cpu' }).sub(from)];
    },
  );
  compareNamed(file, compare, {
    group: prefix.slice(0, -1),
    prefix,
    values: new Map(moved),
    bounds: { norm: BOUNDS.movedNorm, sum: BOUNDS.movedNorm },
    elements({ group, label, found, wanted }) {
      compare.tensor(group, label, found, wanted, BOUNDS.moved);
    },
    floor: 0,
  });
}

/**
 * Values by name, flat, under `prefix`: whole or summarised, as predictions are compared.
 * @param only of those under the prefix these whose names start so
 */
export function compareSummaries(
  file: GoldenFile,
  compare: Comparison,
  { prefix, only = '', group }: { prefix: string; only?: string; group: string },
  values: ReadonlyMap<string, Tensor>,
): void {
  compareNamed(file, compare, {
    group,
    prefix,
    only,
    values,
    bounds: { norm: BOUNDS.prediction, sum: BOUNDS.sum },
    elements({ label, found, wanted }) {
      compare.tensor(group, label, found, wanted, BOUNDS.prediction);
    },
    floor: 0,
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
  /** What the names start with that are compared; absent: all are. */
  only?: string;
  /** Flat tensors by parameter name. */
  values: ReadonlyMap<string, Tensor>;
  bounds: { norm: number; sum: number };
  /** Compares elements of a parameter, flat float64; `pick` takes the same ones of another tensor. */
  elements: (given: {
    group: string;
    label: string;
    name: string;
    found: Tensor;
    wanted: Tensor;
    pick: (flat: Tensor) => Tensor;
  }) => void;
  /** The least that `#norm` and `#sum` are relative to. */
  floor: number;
  /** The elements of a whole tensor that mean something. */
  relevant?: (name: string, flat: Tensor) => Tensor;
}

/** Whole tensors; or of large ones `NAME#norm`, `NAME#sum` (relative to norm · √n), `NAME#every`. */
function compareNamed(file: GoldenFile, compare: Comparison, named: NamedValues): void {
  for (const key of file.under(named.prefix)) {
    if (!key.startsWith(named.only ?? '')) continue;
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
  { group, prefix, bounds, elements, floor, relevant }: NamedValues,
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
    elements({ group, label, name, found: pick(wide), wanted, pick });
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
