import { ArgumentError } from '../../torch/errors.js';
import type { Tensor } from '../../torch/index.js';
import * as torch from '../../torch/index.js';
import { withDefaults } from '../../torch/require.js';
import { requireCounts, requireDivisor, requireRank, requireTensor } from '../check.js';
import type { Given } from '../layer.js';
import { linear } from '../linear.js';

/** What `MultiheadAttention.forward` takes by name. */
export interface AttentionOptions {
  /** [B,S] (or [S]): true, or -∞, for keys to leave out. */
  keyPaddingMask: Tensor | null;
  /** [L,S] or [B·heads,L,S]: true, or -∞, for pairs to leave out; floats are added to the scores. */
  attnMask: Tensor | null;
  /** Whether to give the weights; without them the attention is computed in one pass. */
  needWeights: boolean;
  /** The mean of the heads' weights, instead of each head's. */
  averageAttnWeights: boolean;
  /** A promise that `attnMask` is the causal one. */
  isCausal: boolean;
}
export const ATTENTION: AttentionOptions = {
  keyPaddingMask: null,
  attnMask: null,
  needWeights: true,
  averageAttnWeights: true,
  isCausal: false,
};

export interface HeadsOptions extends AttentionOptions {
  /** Drop weights out. */
  training: boolean;
  /** Project by the three weights instead of `inProjWeight`. */
  useSeparateProjWeight: boolean;
  qProjWeight: Tensor | null;
  kProjWeight: Tensor | null;
  vProjWeight: Tensor | null;
  /** [B·heads,S,E/heads]: in the place of the projected keys. */
  staticK: Tensor | null;
  /** [B·heads,S,E/heads]: in the place of the projected values. */
  staticV: Tensor | null;
}
const HEADS: HeadsOptions = {
  ...ATTENTION,
  training: true,
  useSeparateProjWeight: false,
  qProjWeight: null,
  kProjWeight: null,
  vProjWeight: null,
  staticK: null,
  staticV: null,
};

/**
 * Attention of several heads (Vaswani et al., 2017): queries [L,B,E], keys [S,B,kdim] and values
 * [S,B,vdim] -> [L,B,E] and the weights [B,L,S] (or null). One sample alone has no B.
 *
 * @param embedDimToCheck E
 * @param inProjWeight [3·E, E], null with separate weights; `inProjBias` is [3·E]
 * @param biasK [1,1,E]: a key more; `biasV`: its value
 * @param addZeroAttn a key and a value more that are zero
 * @param dropoutP of the weights, with `training`
 */
export function multiHeadAttentionForward(
  query: Tensor,
  key: Tensor,
  value: Tensor,
  embedDimToCheck: number,
  numHeads: number,
  inProjWeight: Tensor | null,
  inProjBias: Tensor | null,
  biasK: Tensor | null,
  biasV: Tensor | null,
  addZeroAttn: boolean,
  dropoutP: number,
  outProjWeight: Tensor,
  outProjBias: Tensor | null,
  options: Given<HeadsOptions> = {},
): [output: Tensor, weights: Tensor | null] {
  const where = 'multiHeadAttentionForward';
  const known = withDefaults(where, HEADS, options);
  requireRank(where, query, [2, 3], '[L,B,E], or [L,E] of one sample');
  for (const other of [key, value]) {
    requireTensor(where, other);
    if (other.ndim === query.ndim) continue;
    throw new ArgumentError(
      `${where}: found shapes [${query.shape}] and [${other.shape}], expected queries, keys and values of one rank`,
    );
  }
  requireCounts(where, { numHeads });
  requireDivisor(where, numHeads, embedDimToCheck);
  if (query.size(-1) !== embedDimToCheck) {
    throw new ArgumentError(
      `${where}: found queries of shape [${query.shape}], expected ${embedDimToCheck} in the last dimension`,
    );
  }
  const { isCausal, attnMask, keyPaddingMask: padding, needWeights } = known;
  if (isCausal && attnMask === null) {
    throw new ArgumentError(
      `${where}: found isCausal without attnMask, expected the causal mask with it (Transformer.generateSquareSubsequentMask)`,
    );
  }
  const single = query.ndim === 2;
  const same = query === key && key === value;
  const batched = (x: Tensor) => (single ? x.unsqueeze(1) : x);
  const q_LBE = batched(query);
  const k_SBE = same ? q_LBE : batched(key);
  const v_SBE = same ? q_LBE : key === value ? k_SBE : batched(value);
  const [length, batch] = q_LBE.shape as [number, number];
  const { useSeparateProjWeight: separate, qProjWeight, kProjWeight, vProjWeight } = known;
  let [q, k, v] = projected(
    [q_LBE, k_SBE, v_SBE],
    separate ? [qProjWeight, kProjWeight, vProjWeight] : inProjWeight,
    inProjBias,
  );
  if (biasK && biasV) {
    k = torch.cat([k, biasK.expand([1, batch, embedDimToCheck])]);
    v = torch.cat([v, biasV.expand([1, batch, embedDimToCheck])]);
  }
  const more = Number(biasK !== null) + Number(addZeroAttn);
  const split = (x: Tensor) => x.unflatten(2, [numHeads, -1]).permute([1, 2, 0, 3]); // [B,h,L,D]
  const zero = (x: Tensor) => (addZeroAttn ? torch.pad(x, [0, 0, 0, 1]) : x);
  const given = (x: Tensor | null) => x?.unflatten(0, [batch, numHeads]);
  const q_BhLD = split(q);
  const k_BhSD = zero(given(known.staticK) ?? split(k));
  const v_BhSD = zero(given(known.staticV) ?? split(v));
  const causal = isCausal && padding === null && !needWeights;
  const keyPaddingMask = single && padding ? padding.unsqueeze(0) : padding;
  const mask = causal
    ? null
    : masks({ attnMask, keyPaddingMask }, q_LBE, numHeads, k_BhSD.shape[2]! - more, more);
  const dropout = known.training ? dropoutP : 0;
  const join = (x_BhLD: Tensor) => {
    const x_LBE = x_BhLD.permute([2, 0, 1, 3]).reshape([length, batch, embedDimToCheck]);
    const output = linear(x_LBE, outProjWeight, outProjBias);
    return single ? output.squeeze(1) : output;
  };
  if (!needWeights) {
    const attended = torch.scaledDotProductAttention(q_BhLD, k_BhSD, v_BhSD, mask, dropout, causal);
    return [join(attended), null];
  }
  const scaled = q_BhLD.mul(Math.sqrt(1 / (embedDimToCheck / numHeads)));
  const scores = scaled.matmul(k_BhSD.transpose(2, 3));
  const shares = torch.softmax(mask ? scores.add(mask) : scores, -1);
  const weights = dropout > 0 ? torch.dropout(shares, dropout, true) : shares;
  const shown = known.averageAttnWeights ? weights.mean({ dim: 1 }) : weights;
  return [join(weights.matmul(v_BhSD)), single ? shown.squeeze(0) : shown];
}

/** Queries, keys and values by their weights: what is the same goes through one product. */
function projected(
  inputs: readonly [query: Tensor, key: Tensor, value: Tensor],
  weights: Tensor | null | readonly (Tensor | null)[],
  bias: Tensor | null,
): [Tensor, Tensor, Tensor] {
  const [query, key, value] = inputs;
  const isList = Array.isArray(weights);
  if (!isList && weights && query === key && key === value) {
    return torch.linear(query, weights as Tensor, bias).chunk(3, -1) as [Tensor, Tensor, Tensor];
  }
  const list = isList ? (weights as readonly (Tensor | null)[]) : (weights as Tensor)?.chunk(3);
  const biases = bias?.chunk(3) ?? [null, null, null];
  return inputs.map((x, i) => {
    const weight = list?.[i];
    requireTensor('multiHeadAttentionForward: the weight of a projection', weight);
    return torch.linear(x, weight!, biases[i]);
  }) as [Tensor, Tensor, Tensor];
}

/** Both masks as what is added to scores [B,h,L,S + more]; null where there is none. */
function masks(
  { keyPaddingMask, attnMask }: Pick<AttentionOptions, 'keyPaddingMask' | 'attnMask'>,
  query: Tensor,
  heads: number,
  keys: number,
  more: number,
): Tensor | null {
  const [length, batch] = query.shape as [number, number];
  const parts: Tensor[] = [];
  if (attnMask) {
    const whole = [batch * heads, length, keys];
    requireShape('attnMask', attnMask, attnMask.ndim === 3 ? whole : [length, keys]);
    const added = asAdded(attnMask, query);
    parts.push(attnMask.ndim === 3 ? added.unflatten(0, [batch, heads]) : added);
  }
  if (keyPaddingMask) {
    requireShape('keyPaddingMask', keyPaddingMask, [batch, keys]);
    parts.push(asAdded(keyPaddingMask, query).unsqueeze(1).unsqueeze(1));
  }
  if (parts.length === 0) return null;
  const sum = parts.reduce((all, part) => all.add(part));
  return more > 0 ? torch.pad(sum, [0, more]) : sum;
}

/** A mask of booleans as floats: -∞ where true. */
function asAdded(mask: Tensor, like: Tensor): Tensor {
  if (mask.dtype !== 'bool') return mask;
  const { dtype, device } = like;
  const zeros = torch.zeros(mask.shape, { dtype, device });
  return zeros.maskedFill(mask, Number.NEGATIVE_INFINITY);
}

function requireShape(name: string, mask: Tensor, shape: readonly number[]): void {
  requireTensor(`multiHeadAttentionForward: ${name}`, mask);
  if (mask.shape.join() === shape.join()) return;
  throw new ArgumentError(
    `multiHeadAttentionForward: found ${name} of shape [${mask.shape}], expected [${shape}]`,
  );
}
