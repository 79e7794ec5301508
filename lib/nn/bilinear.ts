import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import { withDefaults } from '../torch/require.js';
import { requireCounts } from './check.js';
import { fanIn_ } from './init.js';
import { Module } from './module.js';
import { parameter } from './parameter.js';
import { signature } from './tree.js';

const DEFAULTS = { bias: true };

/** y_k = x1ᵀ·W_k·x2 + b_k over the last dimension: [..., in1] and [..., in2] -> [..., out]. */
export class Bilinear extends Module {
  /** [out, in1, in2] */
  readonly weight: Tensor;
  readonly bias: Tensor | null;

  constructor(
    readonly in1Features: number,
    readonly in2Features: number,
    readonly outFeatures: number,
    options: { bias?: boolean } = {},
  ) {
    super();
    const { bias } = withDefaults('Bilinear', DEFAULTS, options);
    requireCounts('Bilinear', { in1Features, in2Features, outFeatures });
    const made = (...shape: number[]) => parameter(() => fanIn_(torch.empty(shape), in1Features));
    this.weight = made(outFeatures, in1Features, in2Features);
    this.bias = bias ? made(outFeatures) : null;
  }

  override forward(x1: Tensor, x2: Tensor): Tensor {
    return torch.bilinear(x1, x2, this.weight, this.bias);
  }

  protected override details(): string {
    const sizes = [this.in1Features, this.in2Features, this.outFeatures];
    return signature(sizes, { bias: this.bias !== null }, DEFAULTS);
  }
}
