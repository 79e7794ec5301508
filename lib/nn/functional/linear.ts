/** Layers with weights, as functions that take them. */
import type { Tensor } from '../../torch/index.js';
import * as torch from '../../torch/index.js';
import { withDefaults } from '../../torch/require.js';
import { requireChoice, requireRank, requireTensor } from '../check.js';
import type { Given } from '../layer.js';

export {
  bilinear,
  conv1d,
  conv2d,
  conv3d,
  convTbc,
  convTranspose1d,
  convTranspose2d,
  convTranspose3d,
  linear,
  scaledDotProductAttention,
} from '../../torch/index.js';

export interface LookUpOptions {
  /** The row that gets no gradient; null: every row does. Negative ones count from the end. */
  paddingIdx: number | null;
  /** Rows that are looked up and longer than this are scaled down to it, in place. */
  maxNorm: number | null;
  /** The p of the norm that `maxNorm` bounds. */
  normType: number;
  scaleGradByFreq: boolean;
  /** Gradients as sparse tensors. */
  sparse: boolean;
}
export const LOOK_UP: LookUpOptions = {
  paddingIdx: null,
  maxNorm: null,
  normType: 2,
  scaleGradByFreq: false,
  sparse: false,
};

function rowOf(where: string, weight: Tensor, paddingIdx: number | null): number | null {
  requireRank(where, weight, [2], 'weights [count, dim]');
  return paddingIdx !== null && paddingIdx < 0 ? paddingIdx + weight.shape[0]! : paddingIdx;
}

/** Scales long rows down, where that is wished. */
function bound(weight: Tensor, indices: Tensor, { maxNorm, normType }: LookUpOptions): void {
  if (maxNorm === null) return;
  torch.scope(() => {
    torch.noGrad(() => {
      torch.embeddingRenorm_(weight.detach(), indices.contiguous(), maxNorm, normType);
    });
  });
}

/** A row of `weight` [count, dim] for each index: int64 or int32 [...] -> [..., dim]. */
export function embedding(
  indices: Tensor,
  weight: Tensor,
  options: Given<LookUpOptions> = {},
): Tensor {
  const known = withDefaults('embedding', LOOK_UP, options);
  requireTensor('embedding', indices);
  requireTensor('embedding', weight);
  bound(weight, indices, known);
  // -1 is the operator's word for none.
  const row = rowOf('embedding', weight, known.paddingIdx) ?? -1;
  return torch.embedding(weight, indices, row, known.scaleGradByFreq, known.sparse);
}

export interface BagOptions extends LookUpOptions {
  /** Where each bag begins, [B], for indices [N]. */
  offsets: Tensor | null;
  mode: 'sum' | 'mean' | 'max';
  /** Of the rows, of the shape of the indices; for sums. */
  perSampleWeights: Tensor | null;
  /** Whether the offsets end with the number of indices. */
  includeLastOffset: boolean;
}
export const BAG: BagOptions = {
  ...LOOK_UP,
  offsets: null,
  mode: 'mean',
  perSampleWeights: null,
  includeLastOffset: false,
};
export const BAG_MODES = ['sum', 'mean', 'max'];

/** The sum, mean or maximum of the rows of each bag of indices: [B,N] -> [B,dim]. */
export function embeddingBag(
  indices: Tensor,
  weight: Tensor,
  options: Given<BagOptions> = {},
): Tensor {
  const known = withDefaults('embeddingBag', BAG, options);
  const { offsets, mode, perSampleWeights, includeLastOffset } = known;
  requireChoice('embeddingBag', 'mode', mode, BAG_MODES);
  requireRank('embeddingBag', indices, offsets ? [1] : [2], '[B,N], or [N] with offsets');
  requireTensor('embeddingBag', weight);
  bound(weight, indices, known);
  const [bags] = torch.embeddingBag(
    weight,
    indices.flatten(),
    offsets ?? regular(indices),
    known.scaleGradByFreq,
    BAG_MODES.indexOf(mode),
    known.sparse,
    perSampleWeights?.flatten() ?? null,
    includeLastOffset && offsets !== null,
    rowOf('embeddingBag', weight, known.paddingIdx),
  );
  return bags;
}

/** Where each of B bags of N indices begins. */
function regular(indices: Tensor): Tensor {
  const [bags, size] = indices.shape as [number, number];
  const { dtype, device } = indices;
  return torch.arange(bags, { dtype, device }).mul(size);
}
