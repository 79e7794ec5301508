import { ArgumentError } from '../../torch/errors.js';
import type { Tensor } from '../../torch/index.js';
import * as torch from '../../torch/index.js';
import { withDefaults } from '../../torch/require.js';
import { requireRank, requireTensor } from '../check.js';
import type { Given } from '../layer.js';
import { crossEntropy, WEIGHTED, type Weighted } from './loss.js';

export interface LinearCrossEntropyOptions extends Weighted {
  /** [C], or [C,d₁,…]. */
  linearBias: Tensor | null;
  /** The class that does not count; null: -100 for classes, none for probabilities. */
  ignoreIndex: number | null;
  labelSmoothing: number;
}
export const LINEAR_CROSS_ENTROPY: LinearCrossEntropyOptions = {
  ...WEIGHTED,
  linearBias: null,
  ignoreIndex: null,
  labelSmoothing: 0,
};

/**
 * The cross-entropy of x·Wᵀ + b: x [B,in] (or [in]) and W [C,in], or [C,d₁,…,in] for logits [B,C,d₁,…], with
 * classes [B,d₁,…] (int64) or probabilities of the logits' shape. All logits are made at once.
 */
export function linearCrossEntropy(
  x: Tensor,
  linearWeight: Tensor,
  target: Tensor,
  options: Given<LinearCrossEntropyOptions> = {},
): Tensor {
  const where = 'linearCrossEntropy';
  const known = withDefaults(where, LINEAR_CROSS_ENTROPY, options);
  const { linearBias, ignoreIndex, ...others } = known;
  requireRank(where, x, [1, 2], '[B,in] or [in]');
  for (const tensor of [linearWeight, target]) requireTensor(where, tensor);
  const inFeatures = x.size(-1);
  const [classes = 0, ...rest] = linearWeight.shape;
  const sizes = rest.slice(0, -1);
  if (linearWeight.ndim < 2 || linearWeight.size(-1) !== inFeatures) {
    throw new ArgumentError(
      `${where}: found weights of shape [${linearWeight.shape}], expected [C,…,${inFeatures}] for the input [${x.shape}]`,
    );
  }
  if (sizes.length > 0 && x.ndim === 1) {
    throw new ArgumentError(
      `${where}: found the input [${x.shape}] with weights [${linearWeight.shape}], expected a batch [B,${inFeatures}] for them`,
    );
  }
  const outputs = [classes, ...sizes];
  if (linearBias && linearBias.shape.join() !== outputs.join()) {
    throw new ArgumentError(
      `${where}: found a bias of shape [${linearBias.shape}], expected [${outputs}]`,
    );
  }
  const shape = [...x.shape.slice(0, -1), ...outputs];
  if (ignoreIndex !== null && target.shape.join() === shape.join()) {
    throw new ArgumentError(
      `${where}: found ignoreIndex ${ignoreIndex} with probabilities as target, expected none: it is a class`,
    );
  }
  const weight = linearWeight.reshape([-1, inFeatures]);
  const logits = torch.linear(x, weight, linearBias?.flatten() ?? null).reshape(shape);
  return crossEntropy(logits, target, { ...others, ignoreIndex: ignoreIndex ?? -100 });
}
