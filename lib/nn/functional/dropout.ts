/** Dropout as functions: `p` is the probability of a drop, and nothing is dropped unless `training`. */
import type { Tensor } from '../../torch/index.js';
import * as torch from '../../torch/index.js';
import { withDefaults } from '../../torch/require.js';
import { requireNumbers, requireRank, requireTensor } from '../check.js';

export interface DropoutOptions {
  /** 0.5 by default, and for the two of SELU as in PyTorch. */
  p?: number;
  training?: boolean;
}

function dropping(
  where: string,
  training: boolean,
  drop: (x: Tensor, p: number) => Tensor,
  rank?: number,
) {
  return (x: Tensor, options: DropoutOptions = {}): Tensor => {
    const known = withDefaults(where, { p: 0.5, training }, options);
    requireNumbers(where, { p: known.p }, 0, 1);
    requireTensor(where, x);
    if (rank !== undefined)
      requireRank(where, x, [rank - 1, rank], `${rank} dimensions, or ${rank - 1} of one sample`);
    if (!known.training || known.p === 0) return x;
    return x.ndim + 1 === rank ? drop(x.unsqueeze(0), known.p).squeeze(0) : drop(x, known.p);
  };
}

const features = (x: Tensor, p: number) => torch.featureDropout(x, p, true);

export const dropout = dropping('dropout', true, (x, p) => torch.dropout(x, p, true));
/** Whole channels of [B,C,L] or [C,L]. */
export const dropout1d = dropping('dropout1d', true, features, 3);
/** Whole channels of [B,C,H,W]. */
export const dropout2d = dropping('dropout2d', true, features);
/** Whole channels of [B,C,D,H,W] or [C,D,H,W]. */
export const dropout3d = dropping('dropout3d', true, features, 5);
/** For SELU; `training` is false by default, as in PyTorch. */
export const alphaDropout = dropping('alphaDropout', false, (x, p) =>
  torch.alphaDropout(x, p, true),
);
/** For SELU, whole channels of [B,C,…]; `training` is false by default, as in PyTorch. */
export const featureAlphaDropout = dropping('featureAlphaDropout', false, (x, p) =>
  torch.featureAlphaDropout(x, p, true),
);
