import { betas, flag, notNegative } from '../torch/rules.js';
import * as foreach from './foreach.js';
import type { ParameterGroups } from './groups.js';
import { ListOptimizer, type ListOptions, type Lists } from './list-optimizer.js';
import type { StateNames } from './state.js';

/** What `Adamax` takes by name. */
export interface AdamaxOptions extends ListOptions {
  /** Factors of the gradient's moving average and of its infinity norm. */
  betas: [number, number];
  /** Added to the magnitude of the gradient. */
  eps: number;
}

const rules = {
  lr: notNegative,
  betas,
  eps: notNegative,
  weightDecay: notNegative,
  maximize: flag,
};

/** Adam by the infinity norm (Kingma and Ba, 2015); numbers and defaults as PyTorch's Adamax. */
export class Adamax extends ListOptimizer<AdamaxOptions> {
  constructor(groups: ParameterGroups<AdamaxOptions>, options: Partial<AdamaxOptions> = {}) {
    const defaults: AdamaxOptions = {
      lr: 2e-3,
      betas: [0.9, 0.999],
      eps: 1e-8,
      weightDecay: 0,
      maximize: false,
    };
    super(groups, options, defaults, rules);
  }

  protected override stateNames(): StateNames {
    return { step: 'scalar', exp_avg: 'like the parameter', exp_inf: 'like the parameter' };
  }

  protected override move(options: AdamaxOptions, { params, grads, steps, state }: Lists): void {
    const { lr, eps } = options;
    const [beta1, beta2] = options.betas;
    const mean = state('exp_avg');
    const norm = state('exp_inf');
    foreach.lerp_(mean, grads, 1 - beta1);
    const magnitude = foreach.abs(grads);
    foreach.add_(magnitude, eps);
    foreach.mul_(norm, beta2);
    foreach.maximum_(norm, magnitude);
    const rates = steps.map((step) => -lr / (1 - beta1 ** step));
    foreach.addcdiv_(params, mean, norm, rates);
  }
}
