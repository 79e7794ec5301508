import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import { withDefaults } from '../torch/require.js';
import { requireCounts } from './check.js';
import { fanIn_ } from './init.js';
import { Module } from './module.js';
import { parameter } from './parameter.js';
import { signature } from './tree.js';

/**
 * y = x·Wᵀ + b over the last dimension: [..., in] and [out, in] -> [..., out]. The numbers of
 * `torch.linear` up to rounding, by the faster of libtorch's matrix products on this processor.
 */
export function linear(x: Tensor, weight: Tensor, bias: Tensor | null = null): Tensor {
  return torch.ops.m3l!.linear!(x, weight, bias) as Tensor;
}

const DEFAULTS = { bias: true };

/** y = x·Wᵀ + b over the last dimension: [..., in] -> [..., out]. */
export class Linear extends Module {
  readonly weight: Tensor;
  readonly bias: Tensor | null;

  constructor(
    readonly inFeatures: number,
    readonly outFeatures: number,
    options: { bias?: boolean } = {},
  ) {
    super();
    const { bias } = withDefaults(new.target.name, DEFAULTS, options);
    requireCounts(new.target.name, { inFeatures, outFeatures }, 0);
    this.weight = parameter(() => fanIn_(torch.empty([outFeatures, inFeatures]), inFeatures));
    this.bias = bias ? parameter(() => fanIn_(torch.empty([outFeatures]), inFeatures)) : null;
  }

  override forward(x: Tensor): Tensor {
    return linear(x, this.weight, this.bias);
  }

  protected override details(): string {
    const options = { bias: this.bias !== null };
    return signature([this.inFeatures, this.outFeatures], options, DEFAULTS);
  }
}
