import type { Tensor } from '../../torch/index.js';
import * as torch from '../../torch/index.js';
import { VerifyError } from './golden-file.js';

/** One compared quantity. */
export interface VerifyRow {
  /** As the file names it. */
  name: string;
  /** What it belongs to, for a summary: `predictions`, `gradients`, … */
  group: string;
  /** Largest relative error; Infinity where a value is not finite. */
  error: number;
  bound: number;
  ok: boolean;
}

/** Agreement expected of each kind of quantity (shared/golden/README.md; the rest chosen to fit). */
export const BOUNDS = {
  prediction: 1e-4,
  loss: 1e-4,
  gradientNorm: 1e-3,
  /** Of the vector of differences, relative to the gradient's norm. */
  gradient: 1e-3,
  /** Of a sum, relative to norm · √n, the largest it could be. */
  sum: 1e-4,
  trajectoryLoss: 1e-3,
  /** Of the vector of differences of trained parameters, relative to how far they were moved. */
  update: 2e-2,
  /** Of single elements of what training moved, relative to the largest. */
  moved: 2e-2,
  /** Its norms, and sums relative to norm · √n. */
  movedNorm: 1e-3,
  /** Norms and sums of trained parameters. */
  trained: 1e-5,
  schedule: 1e-6,
  metric: 1e-6,
  exact: 0,
} as const;

/** Collects the rows of a verification. */
export class Comparison {
  readonly rows: VerifyRow[] = [];

  get ok(): boolean {
    return this.rows.length > 0 && this.rows.every((row) => row.ok);
  }

  row(group: string, name: string, error: number, bound: number): void {
    const found = Number.isNaN(error) ? Number.POSITIVE_INFINITY : error;
    this.rows.push({ name, group, error: found, bound, ok: found <= bound });
  }

  /** |actual − expected| / |expected|. */
  scalar(group: string, name: string, actual: number, expected: number, bound: number): void {
    this.row(group, name, relative(Math.abs(actual - expected), Math.abs(expected)), bound);
  }

  /** max |actual − expected| / max |expected|. */
  tensor(group: string, name: string, actual: Tensor, expected: Tensor, bound: number): void {
    const error = torch.scope(() => {
      const [a, e] = pair(name, actual, expected);
      return relative(largest(a.sub(e)), largest(e));
    });
    this.row(group, name, error, bound);
  }

  /** ‖actual − expected‖ / size. */
  vector(
    group: string,
    name: string,
    actual: Tensor,
    expected: Tensor,
    size: number,
    bound: number,
  ): void {
    const error = torch.scope(() => {
      const [a, e] = pair(name, actual, expected);
      return relative(a.sub(e).norm().item(), size);
    });
    this.row(group, name, error, bound);
  }
}

/** An error as a share of a size; of nothing, the error itself. */
export function relative(error: number, size: number): number {
  return size > 0 ? error / size : error;
}

/** 64 elements at even stride, as the golden files keep of a large tensor. */
export function everyNth(flat: Tensor, count: number): Tensor {
  const stride = Math.floor(flat.shape[0]! / count);
  return flat.slice(0, 0, stride * count, stride);
}

/** Both as flat float64 on the CPU: a whole tensor may be kept flattened. */
function pair(name: string, actual: Tensor, expected: Tensor): [Tensor, Tensor] {
  if (actual.numel() !== expected.numel()) {
    throw new VerifyError(
      'M3L_VERIFY_SHAPE',
      `${name} has shape [${expected.shape}] in the file, the package computes [${actual.shape}]: ` +
        'expected as many elements. The file does not belong to the model its metadata names.',
    );
  }
  const flat = (x: Tensor) => x.detach().to({ dtype: 'float64', device: 'cpu' }).flatten();
  return [flat(actual), flat(expected)];
}

function largest(x: Tensor): number {
  return x.numel() === 0 ? 0 : x.abs().max().item();
}
