import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import { withDefaults } from '../torch/require.js';
import { requireCounts, requireDivisor, requireNumbers, requireRank } from './check.js';
import {
  ATTENTION,
  type AttentionOptions,
  multiHeadAttentionForward,
} from './functional/attention.js';
import { constant_, xavierNormal_, xavierUniform_ } from './init.js';
import type { Given } from './layer.js';
import { Linear } from './linear.js';
import { Module } from './module.js';
import { parameter } from './parameter.js';
import { signature } from './tree.js';

export type { AttentionOptions };

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
    const known = withDefaults('MultiheadAttention.forward', ATTENTION, options);
    const where = 'MultiheadAttention';
    for (const x of [query, key, value]) requireRank(where, x, [2, 3], '[L,B,E] or [L,E]');
    const turned = this.options.batchFirst && query.ndim === 3;
    // [L,B,E], whatever came; what is the same stays so.
    const ordered = (x: Tensor) => (turned ? x.transpose(0, 1) : x);
    const q_LBE = ordered(query);
    const k_SBE = key === query ? q_LBE : ordered(key);
    const v_SBE = value === key ? k_SBE : ordered(value);
    const [output, weights] = multiHeadAttentionForward(
      q_LBE,
      k_SBE,
      v_SBE,
      this.embedDim,
      this.numHeads,
      this.inProjWeight,
      this.inProjBias,
      this.biasK,
      this.biasV,
      this.options.addZeroAttn,
      this.options.dropout,
      this.outProj.weight,
      this.outProj.bias,
      {
        ...known,
        training: this.training,
        useSeparateProjWeight: this.inProjWeight === null,
        qProjWeight: this.qProjWeight,
        kProjWeight: this.kProjWeight,
        vProjWeight: this.vProjWeight,
      },
    );
    return [turned ? output.transpose(0, 1) : output, weights];
  }

  protected override details(): string {
    return signature([this.embedDim, this.numHeads], this.options, DEFAULTS);
  }
}
