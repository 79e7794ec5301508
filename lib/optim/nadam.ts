import * as foreach from './foreach.js';
import type { ParameterGroups } from './groups.js';
import { ListOptimizer, type ListOptions, type Lists } from './list-optimizer.js';
import { betas, flag, notNegative } from './rules.js';
import type { StateNames } from './state.js';

export interface NAdamOptions extends ListOptions {
  /** Factors of the moving averages of the gradient and of its square. */
  betas: [number, number];
  /** Added to the denominator. */
  eps: number;
  /** ψ: how fast the momentum rises, β1 · (1 − 0.5 · 0.96^(step · ψ)). */
  momentumDecay: number;
  /** Decays parameters by lr · weightDecay instead of adding to the gradient. */
  decoupledWeightDecay: boolean;
}

const rules = {
  lr: notNegative,
  betas,
  eps: notNegative,
  weightDecay: notNegative,
  momentumDecay: notNegative,
  decoupledWeightDecay: flag,
  maximize: flag,
};

/** Adam with Nesterov momentum (Dozat, 2016); numbers and defaults as PyTorch's NAdam. */
export class NAdam extends ListOptimizer<NAdamOptions> {
  constructor(groups: ParameterGroups<NAdamOptions>, options: Partial<NAdamOptions> = {}) {
    const defaults: NAdamOptions = {
      lr: 2e-3,
      betas: [0.9, 0.999],
      eps: 1e-8,
      weightDecay: 0,
      momentumDecay: 4e-3,
      decoupledWeightDecay: false,
      maximize: false,
    };
    super(groups, options, defaults, rules);
  }

  protected override readonly hostState = ['step', 'mu_product'];

  protected override stateNames(): StateNames {
    return {
      step: 'scalar',
      mu_product: 'scalar',
      exp_avg: 'like the parameter',
      exp_avg_sq: 'like the parameter',
    };
  }

  protected override startOf(name: string): number {
    return name === 'mu_product' ? 1 : 0;
  }

  protected override decayOf({ decoupledWeightDecay, weightDecay }: NAdamOptions): number {
    return decoupledWeightDecay ? 0 : weightDecay;
  }

  protected override move(options: NAdamOptions, { params, grads, steps, state }: Lists): void {
    const { lr, eps } = options;
    const [beta1, beta2] = options.betas;
    if (options.decoupledWeightDecay) foreach.mul_(params, 1 - lr * options.weightDecay);
    const mean = state('exp_avg');
    const square = state('exp_avg_sq');
    foreach.lerp_(mean, grads, 1 - beta1);
    foreach.mul_(square, beta2);
    foreach.addcmul_(square, grads, grads, 1 - beta2);
    const denominator = foreach.sqrt(square);
    foreach.div_(
      denominator,
      steps.map((step) => Math.sqrt(1 - beta2 ** step)),
    );
    foreach.add_(denominator, eps);

    const momentum = (step: number) => beta1 * (1 - 0.5 * 0.96 ** (step * options.momentumDecay));
    const products = state('mu_product');
    foreach.mul_(products, steps.map(momentum));
    const past = products.map((product) => product.item() as number);
    const now = steps.map((step, i) => (-lr * (1 - momentum(step))) / (1 - past[i]!));
    const ahead = steps.map((step, i) => {
      const next = momentum(step + 1);
      return (-lr * next) / (1 - past[i]! * next);
    });
    foreach.addcdiv_(params, grads, denominator, now);
    foreach.addcdiv_(params, mean, denominator, ahead);
  }
}
