import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import { withDefaults } from '../torch/require.js';
import { fanIn_ } from './init.js';
import { Module } from './module.js';
import { parameter } from './parameter.js';

/**
 * y = x·Wᵀ + b over the last dimension: [..., in] and [out, in] -> [..., out]. The numbers of
 * `torch.linear` up to rounding, by the faster of libtorch's matrix products on this processor.
 */
export function linear(x: Tensor, weight: Tensor, bias: Tensor | null = null): Tensor {
  return torch.ops.m3l!.linear!(x, weight, bias) as Tensor;
}

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
    this.weight = parameter(() => fanIn_(torch.empty([outFeatures, inFeatures]), inFeatures));
    const { bias } = withDefaults('Linear', { bias: true }, options);
    this.bias = bias ? parameter(() => fanIn_(torch.empty([outFeatures]), inFeatures)) : null;
  }

  override forward(x: Tensor): Tensor {
    return linear(x, this.weight, this.bias);
  }
}
