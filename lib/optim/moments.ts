import type { Tensor } from '../torch/index.js';
import { betas, flag, notNegative } from '../torch/rules.js';
import * as foreach from './foreach.js';
import { ListOptimizer, type ListOptions, type Lists } from './list-optimizer.js';

/** What Adam and those after it have in common. */
export interface MomentOptions extends ListOptions {
  /** Factors of the moving averages of the gradient and of its square. */
  betas: [number, number];
  /** Added to the denominator. */
  eps: number;
  /** Decays parameters by lr · weightDecay instead of adding to the gradient, as AdamW does. */
  decoupledWeightDecay: boolean;
}

export const momentDefaults: MomentOptions = {
  lr: 1e-3,
  betas: [0.9, 0.999],
  eps: 1e-8,
  weightDecay: 0,
  decoupledWeightDecay: false,
  maximize: false,
};

export const momentRules = {
  lr: notNegative,
  betas,
  eps: notNegative,
  weightDecay: notNegative,
  decoupledWeightDecay: flag,
  maximize: flag,
};

export const momentStates = {
  step: 'scalar',
  exp_avg: 'like the parameter',
  exp_avg_sq: 'like the parameter',
} as const;

/** An optimizer by moving averages of the gradient and of its square. */
export abstract class MomentOptimizer<
  Options extends MomentOptions,
> extends ListOptimizer<Options> {
  protected override decayOf({ decoupledWeightDecay, weightDecay }: Options): number {
    return decoupledWeightDecay ? 0 : weightDecay;
  }
}

/** Decays the parameters where that is decoupled, and moves both averages. */
export function moveMoments(
  { lr, betas: [beta1, beta2], weightDecay, decoupledWeightDecay }: MomentOptions,
  { params, grads, state }: Pick<Lists, 'params' | 'grads' | 'state'>,
): [mean: Tensor[], square: Tensor[]] {
  if (decoupledWeightDecay) foreach.mul_(params, 1 - lr * weightDecay);
  const mean = state('exp_avg');
  const square = state('exp_avg_sq');
  foreach.lerp_(mean, grads, 1 - beta1);
  foreach.mul_(square, beta2);
  foreach.addcmul_(square, grads, grads, 1 - beta2);
  return [mean, square];
}

/** What Adam has besides. */
export interface AdamOptions extends MomentOptions {
  /** Divides by the largest average of the square so far (Reddi et al., 2018). */
  amsgrad: boolean;
}

/** A step of Adam. */
export function moveAdam(options: AdamOptions, lists: Lists): void {
  const { params, steps, state } = lists;
  const [mean, square] = moveMoments(options, lists);
  const largest = options.amsgrad ? state('max_exp_avg_sq') : square;
  if (options.amsgrad) foreach.maximum_(largest, square);
  const denominator = denominatorOf(largest, steps, options);
  const rates = steps.map((step) => -options.lr / (1 - options.betas[0] ** step));
  foreach.addcdiv_(params, mean, denominator, rates);
}

/** √(square / (1 − β2^step)) + eps: what a step is divided by. */
export function denominatorOf(
  square: Tensor[],
  steps: readonly number[],
  { betas: [, beta2], eps }: MomentOptions,
): Tensor[] {
  const denominator = foreach.sqrt(square);
  foreach.div_(
    denominator,
    steps.map((step) => Math.sqrt(1 - beta2 ** step)),
  );
  foreach.add_(denominator, eps);
  return denominator;
}
