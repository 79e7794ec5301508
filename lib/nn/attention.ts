import { ArgumentError } from '../torch/errors.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import { withDefaults } from '../torch/require.js';
import { requireCounts, requireDivisor, requireNumbers, requireRank } from './check.js';
import { constant_, xavierNormal_, xavierUniform_ } from './init.js';
import type { Given } from './layer.js';
import { Linear } from './linear.js';
import { Module } from './module.js';
import { parameter } from './parameter.js';
import { signature } from './tree.js';

interface Options {
  /** Of the weights, in training. */
  dropout: number;
  bias: boolean;
  /** A key and a value more that are learnt. */
  addBiasKv: boolean;
  /** A key and a value more that are zero. */
  addZeroAttn: boolean;
  /** Of the keys; null: embedDim. */
  kdim: number | null;
  /** Of the values; null: embedDim. */
  vdim: number | null;
  /** Sequences as [B,L,E] instead of [L,B,E]. */
  batchFirst: boolean;
}
const DEFAULTS: Options = {
  dropout: 0,
  bias: true,
  addBiasKv: false,
  addZeroAttn: false,
  kdim: null,
  vdim: null,
  batchFirst: false,
};

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
const CALL: AttentionOptions = {
  keyPaddingMask: null,
  attnMask: null,
  needWeights: true,
  averageAttnWeights: true,
  isCausal: false,
};

/**
 * Attention of several heads (Vaswani et al., 2017): queries [L,B,E], keys [S,B,kdim] and values
 * [S,B,vdim] -> [L,B,E] and the weights [B,L,S] (or null). One sample alone has no B.
 */
export class MultiheadAttention extends Module {
  /** [3·E, E], of queries, keys and values together; null where their widths differ. */
  readonly inProjWeight: Tensor | null;
  readonly qProjWeight: Tensor | null;
  readonly kProjWeight: Tensor | null;
  readonly vProjWeight: Tensor | null;
  readonly inProjBias: Tensor | null;
  readonly biasK: Tensor | null;
  readonly biasV: Tensor | null;
  readonly outProj: Linear;
  readonly options: Options;

  constructor(
    readonly embedDim: number,
    readonly numHeads: number,
    options: Given<Options> = {},
  ) {
    super();
    const where = new.target.name;
    this.options = withDefaults(where, DEFAULTS, options);
    const { bias, addBiasKv, dropout } = this.options;
    const kdim = this.options.kdim ?? embedDim;
    const vdim = this.options.vdim ?? embedDim;
    requireCounts(where, { embedDim, numHeads, kdim, vdim });
    requireDivisor(where, numHeads, embedDim);
    requireNumbers(where, { dropout }, 0, 1);
    const weight = (rows: number, columns: number) =>
      parameter(() => xavierUniform_(torch.empty([rows, columns])));
    const extra = () => parameter(() => xavierNormal_(torch.empty([1, 1, embedDim])));
    const same = kdim === embedDim && vdim === embedDim;
    this.inProjWeight = same ? weight(3 * embedDim, embedDim) : null;
    this.qProjWeight = same ? null : weight(embedDim, embedDim);
    this.kProjWeight = same ? null : weight(embedDim, kdim);
    this.vProjWeight = same ? null : weight(embedDim, vdim);
    this.inProjBias = bias ? parameter(() => torch.zeros([3 * embedDim])) : null;
    this.biasK = addBiasKv ? extra() : null;
    this.biasV = addBiasKv ? extra() : null;
    this.outProj = new Linear(embedDim, embedDim, { bias });
    if (this.outProj.bias) constant_(this.outProj.bias, 0);
  }

  override forward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    options: Given<AttentionOptions> = {},
  ): [output: Tensor, weights: Tensor | null] {
    const known = withDefaults('MultiheadAttention.forward', CALL, options);
    requireRank('MultiheadAttention', query, [2, 3], '[L,B,E], or [L,E] of one sample');
    for (const other of [key, value]) {
      if (other.ndim === query.ndim) continue;
      throw new ArgumentError(
        `MultiheadAttention: found shapes [${query.shape}] and [${other.shape}], expected queries, keys and values of one rank`,
      );
    }
    const single = query.ndim === 2;
    const batchDim = this.options.batchFirst && !single ? 0 : 1;
    // [L,B,E], whatever came.
    const ordered = (x: Tensor) =>
      single ? x.unsqueeze(1) : batchDim === 0 ? x.transpose(0, 1) : x;
    const same = key === value && query === key;
    const q_LBE = ordered(query);
    const k_SBE = same ? q_LBE : ordered(key);
    const v_SBE = same ? q_LBE : key === value ? k_SBE : ordered(value);
    const padding = known.keyPaddingMask;
    const keyPaddingMask = single && padding ? padding.unsqueeze(0) : padding;
    const [out_LBE, weights] = this.#attend(q_LBE, k_SBE, v_SBE, { ...known, keyPaddingMask });
    if (single) return [out_LBE.squeeze(1), weights?.squeeze(0) ?? null];
    return [batchDim === 0 ? out_LBE.transpose(0, 1) : out_LBE, weights];
  }

  #attend(query: Tensor, key: Tensor, value: Tensor, call: AttentionOptions) {
    const { numHeads: heads, embedDim } = this;
    const { isCausal, attnMask, needWeights } = call;
    if (isCausal && attnMask === null) {
      throw new ArgumentError(
        'MultiheadAttention: found isCausal without attnMask, expected the causal mask with it (Transformer.generateSquareSubsequentMask)',
      );
    }
    const [length, batch] = query.shape as [number, number];
    const causal = isCausal && call.keyPaddingMask === null && !needWeights;
    const mask = causal ? null : this.#mask(call, query, key.shape[0]!);
    let [q, k, v] = this.#project(query, key, value);
    if (this.biasK && this.biasV) {
      k = torch.cat([k, this.biasK.expand([1, batch, embedDim])]);
      v = torch.cat([v, this.biasV.expand([1, batch, embedDim])]);
    }
    const split = (x: Tensor) => x.unflatten(2, [heads, -1]).permute([1, 2, 0, 3]); // [B,h,L,D]
    const [q_BhLD, k_BhSD, v_BhSD] = [q, k, v].map(split) as [Tensor, Tensor, Tensor];
    const zero = (x: Tensor) => (this.options.addZeroAttn ? torch.pad(x, [0, 0, 0, 1]) : x);
    const [keys, values] = [zero(k_BhSD), zero(v_BhSD)];
    const dropout = this.training ? this.options.dropout : 0;
    const join = (x_BhLD: Tensor) =>
      this.outProj.forward(x_BhLD.permute([2, 0, 1, 3]).reshape([length, batch, embedDim]));
    if (!needWeights) {
      const attended = torch.scaledDotProductAttention(q_BhLD, keys, values, mask, dropout, causal);
      return [join(attended), null] as const;
    }
    const scaled = q_BhLD.mul(Math.sqrt(1 / (embedDim / heads)));
    const scores = scaled.matmul(keys.transpose(2, 3));
    const shares = torch.softmax(mask ? scores.add(mask) : scores, -1);
    const weights = dropout > 0 ? torch.dropout(shares, dropout, true) : shares;
    const shown = call.averageAttnWeights ? weights.mean({ dim: 1 }) : weights;
    return [join(weights.matmul(values)), shown] as const;
  }

  /** Queries, keys and values by their weights: what is the same goes through one product. */
  #project(query: Tensor, key: Tensor, value: Tensor): [Tensor, Tensor, Tensor] {
    const { inProjWeight, inProjBias } = this;
    if (inProjWeight && query === key && key === value) {
      return torch.linear(query, inProjWeight, inProjBias).chunk(3, -1) as [Tensor, Tensor, Tensor];
    }
    const weights = inProjWeight
      ? inProjWeight.chunk(3)
      : [this.qProjWeight!, this.kProjWeight!, this.vProjWeight!];
    const biases = inProjBias?.chunk(3) ?? [null, null, null];
    const inputs = [query, key, value];
    return inputs.map((x, i) => torch.linear(x, weights[i]!, biases[i])) as [
      Tensor,
      Tensor,
      Tensor,
    ];
  }

  /** Both masks as what is added to scores [B,h,L,S]; null where there is none. */
  #mask(call: AttentionOptions, query: Tensor, keys: number): Tensor | null {
    const { keyPaddingMask, attnMask } = call;
    const [length, batch] = query.shape as [number, number];
    const parts: Tensor[] = [];
    if (attnMask) {
      const whole = [batch * this.numHeads, length, keys];
      requireShape('attnMask', attnMask, attnMask.ndim === 3 ? whole : [length, keys]);
      const added = asAdded(attnMask, query);
      parts.push(attnMask.ndim === 3 ? added.unflatten(0, [batch, this.numHeads]) : added);
    }
    if (keyPaddingMask) {
      requireShape('keyPaddingMask', keyPaddingMask, [batch, keys]);
      parts.push(asAdded(keyPaddingMask, query).unsqueeze(1).unsqueeze(1));
    }
    if (parts.length === 0) return null;
    const sum = parts.reduce((all, part) => all.add(part));
    const more = Number(this.biasK !== null) + Number(this.options.addZeroAttn);
    return more > 0 ? torch.pad(sum, [0, more]) : sum;
  }

  protected override details(): string {
    return signature([this.embedDim, this.numHeads], this.options, DEFAULTS);
  }
}

/** A mask of booleans as floats: -∞ where true. */
function asAdded(mask: Tensor, like: Tensor): Tensor {
  if (mask.dtype !== 'bool') return mask;
  const { dtype, device } = like;
  const zeros = torch.zeros(mask.shape, { dtype, device });
  return zeros.maskedFill(mask, Number.NEGATIVE_INFINITY);
}

function requireShape(name: string, mask: Tensor, shape: readonly number[]): void {
  if (mask.shape.join() === shape.join()) return;
  throw new ArgumentError(
    `MultiheadAttention: found ${name} of shape [${mask.shape}], expected [${shape}]`,
  );
}
