import * as foreach from './foreach.js';
import type { ParameterGroups } from './groups.js';
import { ListOptimizer, type ListOptions, type Lists } from './list-optimizer.js';
import { betas, flag, notNegative } from './rules.js';
import type { StateNames } from './state.js';

export interface RAdamOptions extends ListOptions {
  /** Factors of the moving averages of the gradient and of its square. */
  betas: [number, number];
  /** Added to the denominator. */
  eps: number;
  /** Decays parameters by lr · weightDecay instead of adding to the gradient. */
  decoupledWeightDecay: boolean;
}

const rules = {
  lr: notNegative,
  betas,
  eps: notNegative,
  weightDecay: notNegative,
  decoupledWeightDecay: flag,
  maximize: flag,
};

/** Rectified Adam (Liu et al., 2020); numbers and defaults as PyTorch's RAdam. */
export class RAdam extends ListOptimizer<RAdamOptions> {
  constructor(groups: ParameterGroups<RAdamOptions>, options: Partial<RAdamOptions> = {}) {
    const defaults: RAdamOptions = {
      lr: 1e-3,
      betas: [0.9, 0.999],
      eps: 1e-8,
      weightDecay: 0,
      decoupledWeightDecay: false,
      maximize: false,
    };
    super(groups, options, defaults, rules);
  }

  protected override stateNames(): StateNames {
    return { step: 'scalar', exp_avg: 'like the parameter', exp_avg_sq: 'like the parameter' };
  }

  protected override decayOf({ decoupledWeightDecay, weightDecay }: RAdamOptions): number {
    return decoupledWeightDecay ? 0 : weightDecay;
  }

  protected override move(options: RAdamOptions, { params, grads, steps, state }: Lists): void {
    const { lr, eps } = options;
    const [beta1, beta2] = options.betas;
    if (options.decoupledWeightDecay) foreach.mul_(params, 1 - lr * options.weightDecay);
    const mean = state('exp_avg');
    const square = state('exp_avg_sq');
    foreach.lerp_(mean, grads, 1 - beta1);
    foreach.mul_(square, beta2);
    foreach.addcmul_(square, grads, grads, 1 - beta2);

    const corrections = steps.map((step) => rectification(step, beta2));
    const rates = steps.map((step, i) => (-lr * (corrections[i] ?? 1)) / (1 - beta1 ** step));
    // Too few steps for the variance to be known: a step by the mean alone.
    const early = <T>(list: T[]) => list.filter((_, i) => corrections[i] === null);
    const late = <T>(list: T[]) => list.filter((_, i) => corrections[i] !== null);
    if (early(params).length > 0) {
      foreach.add_(early(params), foreach.mul(early(mean), early(rates)));
    }
    if (late(params).length > 0) {
      const denominator = foreach.sqrt(late(square));
      foreach.add_(denominator, eps);
      foreach.addcdiv_(late(params), late(mean), denominator, late(rates));
    }
  }
}

/**
 * The term r_t of the paper times the second moment's bias correction; null while the approximated
 * average is no longer than 5.
 */
function rectification(step: number, beta2: number): number | null {
  const correction = 1 - beta2 ** step;
  const longest = 2 / (1 - beta2) - 1;
  const length = longest - (2 * step * beta2 ** step) / correction;
  if (length <= 5) return null;
  const term = ((length - 4) * (length - 2) * longest) / ((longest - 4) * (longest - 2) * length);
  return Math.sqrt(term * correction);
}
