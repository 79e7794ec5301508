import { notNegative } from '../torch/rules.js';
import * as foreach from './foreach.js';
import type { ParameterGroups } from './groups.js';
import type { Lists } from './list-optimizer.js';
import {
  denominatorOf,
  MomentOptimizer,
  type MomentOptions,
  momentDefaults,
  momentRules,
  momentStates,
  moveMoments,
} from './moments.js';
import type { StateNames } from './state.js';

/** What `NAdam` takes by name. */
export interface NAdamOptions extends MomentOptions {
  /** ψ: how fast the momentum rises, β1 · (1 − 0.5 · 0.96^(step · ψ)). */
  momentumDecay: number;
}

const rules = { ...momentRules, momentumDecay: notNegative };

/** Adam with Nesterov momentum (Dozat, 2016); numbers and defaults as PyTorch's NAdam. */
export class NAdam extends MomentOptimizer<NAdamOptions> {
  constructor(groups: ParameterGroups<NAdamOptions>, options: Partial<NAdamOptions> = {}) {
    super(groups, options, { ...momentDefaults, lr: 2e-3, momentumDecay: 4e-3 }, rules);
  }

  protected override readonly hostState = ['step', 'mu_product'];

  protected override stateNames(): StateNames {
    return { ...momentStates, mu_product: 'scalar' };
  }

  protected override startOf(name: string): number {
    return name === 'mu_product' ? 1 : 0;
  }

  protected override move(options: NAdamOptions, lists: Lists): void {
    const { lr, momentumDecay } = options;
    const { params, grads, steps, state } = lists;
    const [mean, square] = moveMoments(options, lists);
    const denominator = denominatorOf(square, steps, options);

    const momentum = (step: number) =>
      options.betas[0] * (1 - 0.5 * 0.96 ** (step * momentumDecay));
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
