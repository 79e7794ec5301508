import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import { fanIn_ } from './init.js';
import { Module, parameter } from './module.js';

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
    this.bias =
      (options.bias ?? true)
        ? parameter(() => fanIn_(torch.empty([outFeatures]), inFeatures))
        : null;
  }

  override forward(x: Tensor): Tensor {
    return torch.linear(x, this.weight, this.bias);
  }
}
