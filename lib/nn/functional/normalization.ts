import { ArgumentError } from '../../torch/errors.js';
import type { Tensor } from '../../torch/index.js';
import * as torch from '../../torch/index.js';
import { withDefaults } from '../../torch/require.js';
import type { Given } from '../layer.js';

export {
  bilinear,
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
  return x.div(torch.linalgVectorNorm(x, p, [dim], true).clampMin(eps));
}
