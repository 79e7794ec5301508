import { ArgumentError } from '../../torch/errors.js';
import type { Tensor } from '../../torch/index.js';
import * as torch from '../../torch/index.js';
import { withDefaults } from '../../torch/require.js';
import { requireCounts, requireTensor } from '../check.js';
import type { Given } from '../layer.js';

export {
  cosineSimilarity,
  groupNorm,
  layerNorm,
  pairwiseDistance,
  pdist,
  rmsNorm,
} from '../../torch/index.js';

export const LOCAL_RESPONSE = { alpha: 1e-4, beta: 0.75, k: 1 };

/** x / (k + alpha·mean of x² over `size` neighbouring channels)^beta, of [B,C,…]. */
export function localResponseNorm(
  x: Tensor,
  size: number,
  options: Given<typeof LOCAL_RESPONSE> = {},
): Tensor {
  const { alpha, beta, k } = withDefaults('localResponseNorm', LOCAL_RESPONSE, options);
  requireTensor('localResponseNorm', x);
  requireCounts('localResponseNorm', { size });
  if (x.ndim < 3) {
    throw new ArgumentError(`localResponseNorm: found shape [${x.shape}], expected [B,C,…]`);
  }
  const [batch, channels, ...spatial] = x.shape as [number, number, ...number[]];
  const flat = x.mul(x).reshape([batch, 1, channels, -1]);
  const padded = torch.pad(flat, [0, 0, Math.floor(size / 2), Math.floor((size - 1) / 2)]);
  const mean = torch.avgPool2d(padded, [size, 1], { stride: 1 });
  const scale = mean
    .reshape([batch, channels, ...spatial])
    .mul(alpha)
    .add(k)
    .pow(beta);
  return x.div(scale);
}

/** x over its p-norm along a dimension, or over eps where that is larger. */
export function normalize(
  x: Tensor,
  options: Given<{ p: number; dim: number; eps: number }> = {},
): Tensor {
  const { p, dim, eps } = withDefaults('normalize', { p: 2, dim: 1, eps: 1e-12 }, options);
  requireTensor('normalize', x);
  return x.div(torch.linalg.vectorNorm(x, p, [dim], true).clampMin(eps));
}

interface Statistics {
  /** [C]; null: no affine map. */
  weight: Tensor | null;
  bias: Tensor | null;
  /** The share of new statistics in the running ones. */
  momentum: number;
  eps: number;
}
const STATISTICS: Statistics = { weight: null, bias: null, momentum: 0.1, eps: 1e-5 };

/**
 * Normalises each channel of [B,C,…]: by the batch with `training` (whose statistics then move the
 * running ones, [C] each), by the running ones otherwise.
 */
export function batchNorm(
  x: Tensor,
  runningMean: Tensor | null,
  runningVar: Tensor | null,
  options: Given<Statistics & { training: boolean }> = {},
): Tensor {
  const known = withDefaults('batchNorm', { ...STATISTICS, training: false }, options);
  const { weight, bias, training, momentum, eps } = known;
  requireTensor('batchNorm', x);
  if (training) requireSeveral('batchNorm', x, x.numel() / (x.shape[1] ?? 1));
  return torch.batchNorm(x, weight, bias, runningMean, runningVar, training, momentum, eps, true);
}

/** Normalises each channel of each sample of [B,C,…]; with `useInputStats: false` by running statistics. */
export function instanceNorm(
  x: Tensor,
  options: Given<
    Statistics & {
      runningMean: Tensor | null;
      runningVar: Tensor | null;
      useInputStats: boolean;
    }
  > = {},
): Tensor {
  const defaults: Statistics & {
    runningMean: Tensor | null;
    runningVar: Tensor | null;
    useInputStats: boolean;
  } = { ...STATISTICS, runningMean: null, runningVar: null, useInputStats: true };
  const known = withDefaults('instanceNorm', defaults, options);
  const { weight, bias, runningMean, runningVar, useInputStats: own, momentum, eps } = known;
  requireTensor('instanceNorm', x);
  const [batch = 1, channels = 1] = x.shape;
  if (own) requireSeveral('instanceNorm', x, x.numel() / (batch * channels));
  return torch.instanceNorm(x, weight, bias, runningMean, runningVar, own, momentum, eps, true);
}

/** Throws M3L_ARGUMENT where statistics would be of one value a channel. */
export function requireSeveral(where: string, x: Tensor, values: number): void {
  if (values !== 1) return;
  throw new ArgumentError(
    `${where}: found one value a channel in shape [${x.shape}], expected more to take statistics of in training: a larger batch, or eval()`,
  );
}
