import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import { withDefaults } from '../torch/require.js';
import { normal_ } from './init.js';
import type { Given } from './layer.js';
import { Module } from './module.js';
import { parameter } from './parameter.js';

interface Options {
  /** The row that stays as it is in training; zero at first. */
  paddingIdx: number | null;
  scaleGradByFreq: boolean;
  /** Gradients as sparse tensors. */
  sparse: boolean;
}

/** A row of [count, dim] for each index: int64 [...] -> [..., dim]. */
export class Embedding extends Module {
  readonly weight: Tensor;
  readonly options: Options;

  constructor(
    readonly count: number,
    readonly dim: number,
    options: Given<Options> = {},
  ) {
    super();
    const defaults: Options = { paddingIdx: null, scaleGradByFreq: false, sparse: false };
    this.options = withDefaults('Embedding', defaults, options);
    const { paddingIdx } = this.options;
    this.weight = parameter(() => {
      const weight = normal_(torch.empty([count, dim]));
      if (paddingIdx !== null) weight.select(0, paddingIdx).zero_();
      return weight;
    });
  }

  override forward(indices: Tensor): Tensor {
    const { paddingIdx, scaleGradByFreq, sparse } = this.options;
    // -1 is the operator's word for none: negative rows count from the end.
    const row = paddingIdx === null ? -1 : (paddingIdx + this.count) % this.count;
    return torch.embedding(this.weight, indices, row, scaleGradByFreq, sparse);
  }
}
