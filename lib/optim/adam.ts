import * as foreach from './foreach.js';
import type { ParameterGroups } from './groups.js';
import { ListOptimizer, type ListOptions, type Lists } from './list-optimizer.js';
import { betas, flag, notNegative } from './rules.js';
import type { StateNames } from './state.js';

export interface AdamOptions extends ListOptions {
  /** Factors of the moving averages of the gradient and of its square. */
  betas: [number, number];
  /** Added to the denominator. */
  eps: number;
  /** Divides by the largest average of the square so far (Reddi et al., 2018). */
  amsgrad: boolean;
  /** Decays parameters by lr · weightDecay instead of adding to the gradient, as AdamW does. */
  decoupledWeightDecay: boolean;
}

const rules = {
  lr: notNegative,
  betas,
  eps: notNegative,
  weightDecay: notNegative,
  amsgrad: flag,
  maximize: flag,
  decoupledWeightDecay: flag,
};

/** Adam (Kingma and Ba, 2015); numbers and defaults as PyTorch's Adam. */
export class Adam extends ListOptimizer<AdamOptions> {
  constructor(groups: ParameterGroups<AdamOptions>, options: Partial<AdamOptions> = {}) {
    const defaults: AdamOptions = {
      lr: 1e-3,
      betas: [0.9, 0.999],
      eps: 1e-8,
      weightDecay: 0,
      amsgrad: false,
      maximize: false,
      decoupledWeightDecay: false,
    };
    super(groups, options, defaults, rules);
  }

  protected override stateNames({ amsgrad }: AdamOptions): StateNames {
    return {
      step: 'scalar',
      exp_avg: 'like the parameter',
      exp_avg_sq: 'like the parameter',
      ...(amsgrad && { max_exp_avg_sq: 'like the parameter' }),
    };
  }

  protected override decayOf({ decoupledWeightDecay, weightDecay }: AdamOptions): number {
    return decoupledWeightDecay ? 0 : weightDecay;
  }

  protected override move(options: AdamOptions, { params, grads, steps, state }: Lists): void {
    const { lr, eps } = options;
    const [beta1, beta2] = options.betas;
    if (options.decoupledWeightDecay) foreach.mul_(params, 1 - lr * options.weightDecay);
    const mean = state('exp_avg');
    const square = state('exp_avg_sq');
    foreach.lerp_(mean, grads, 1 - beta1);
    foreach.mul_(square, beta2);
    foreach.addcmul_(square, grads, grads, 1 - beta2);
    const largest = options.amsgrad ? state('max_exp_avg_sq') : square;
    if (options.amsgrad) foreach.maximum_(largest, square);
    const denominator = foreach.sqrt(largest);
    foreach.div_(
      denominator,
      steps.map((step) => Math.sqrt(1 - beta2 ** step)),
    );
    foreach.add_(denominator, eps);
    const rates = steps.map((step) => -lr / (1 - beta1 ** step));
    foreach.addcdiv_(params, mean, denominator, rates);
  }
}
