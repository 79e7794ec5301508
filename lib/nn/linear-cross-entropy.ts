import { ArgumentError } from '../torch/errors.js';
import type { Tensor } from '../torch/index.js';
import { withDefaults } from '../torch/require.js';
import { requireCounts, requireNumbers } from './check.js';
import {
  LINEAR_CROSS_ENTROPY,
  type LinearCrossEntropyOptions,
  linearCrossEntropy,
} from './functional/linear-cross-entropy.js';
import { requireReduction } from './functional/loss.js';
import type { Given } from './layer.js';
import { Linear } from './linear.js';
import { Module } from './module.js';
import { buffer } from './parameter.js';
import { signature } from './tree.js';

interface Options extends Omit<LinearCrossEntropyOptions, 'linearBias'> {
  /** [d₁,…]: of the logits [B,C,d₁,…]. */
  outFeatures: readonly number[];
  bias: boolean;
}
const { linearBias: _, ...LOSS } = LINEAR_CROSS_ENTROPY;
const DEFAULTS: Options = { ...LOSS, outFeatures: [], bias: false };

/**
 * A last linear layer and its cross-entropy in one: [B,in] with classes [B,d₁,…] (int64) or probabilities
 * [B,C,d₁,…]; `weight` of classes is [C].
 */
export class LinearCrossEntropyLoss extends Module {
  readonly weight: Tensor | null;
  readonly linear: Linear;
  readonly options: Options;

  constructor(
    readonly inFeatures: number,
    readonly numClasses: number,
    options: Given<Options> = {},
  ) {
    super();
    const where = new.target.name;
    this.options = withDefaults(where, DEFAULTS, options);
    const { outFeatures, bias, weight, labelSmoothing } = this.options;
    requireCounts(where, { inFeatures, numClasses });
    requireCounts(
      where,
      Object.fromEntries([...outFeatures].map((size, i) => [`d${i + 1}`, size])),
    );
    requireReduction(where, this.options);
    requireNumbers(where, { labelSmoothing }, 0, 1);
    if (weight !== null && weight.shape.join() !== String(numClasses)) {
      throw new ArgumentError(
        `${where}: found weights of shape [${weight.shape}], expected [${numClasses}]`,
      );
    }
    this.weight = weight && buffer(weight);
    const rows = outFeatures.reduce((product, size) => product * size, numClasses);
    this.linear = new Linear(inFeatures, rows, { bias });
  }

  override forward(x: Tensor, target: Tensor): Tensor {
    const { outFeatures, bias: __, ...options } = this.options;
    const outputs = [this.numClasses, ...outFeatures];
    return linearCrossEntropy(
      x,
      this.linear.weight.reshape([...outputs, this.inFeatures]),
      target,
      {
        ...options,
        weight: this.weight,
        linearBias: this.linear.bias?.reshape(outputs) ?? null,
      },
    );
  }

  protected override details(): string {
    return signature([this.inFeatures, this.numClasses], this.options, DEFAULTS);
  }
}
