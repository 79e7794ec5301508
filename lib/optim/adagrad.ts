import { flag, notNegative } from '../torch/rules.js';
import * as foreach from './foreach.js';
import type { ParameterGroups } from './groups.js';
import { ListOptimizer, type ListOptions, type Lists } from './list-optimizer.js';
import type { StateNames } from './state.js';

/** What `Adagrad` takes by name. */
export interface AdagradOptions extends ListOptions {
  /** The learning rate of a step is lr / (1 + (step − 1) · lrDecay). */
  lrDecay: number;
  /** What the sum of squares starts from. */
  initialAccumulatorValue: number;
  /** Added to the denominator. */
  eps: number;
}

const rules = {
  lr: notNegative,
  lrDecay: notNegative,
  weightDecay: notNegative,
  initialAccumulatorValue: notNegative,
  eps: notNegative,
  maximize: flag,
};

/** Adaptive subgradients (Duchi et al., 2011); numbers and defaults as PyTorch's Adagrad. */
export class Adagrad extends ListOptimizer<AdagradOptions> {
  constructor(groups: ParameterGroups<AdagradOptions>, options: Partial<AdagradOptions> = {}) {
    const defaults: AdagradOptions = {
      lr: 1e-2,
      lrDecay: 0,
      weightDecay: 0,
      initialAccumulatorValue: 0,
      eps: 1e-10,
      maximize: false,
    };
    super(groups, options, defaults, rules);
  }

  protected override stateNames(): StateNames {
    return { step: 'scalar', sum: 'like the parameter' };
  }

  protected override startOf(name: string, options: AdagradOptions): number {
    return name === 'sum' ? options.initialAccumulatorValue : 0;
  }

  protected override move(options: AdagradOptions, { params, grads, steps, state }: Lists): void {
    const sum = state('sum');
    foreach.addcmul_(sum, grads, grads, 1);
    const denominator = foreach.sqrt(sum);
    foreach.add_(denominator, options.eps);
    const rates = steps.map((step) => -options.lr / (1 + (step - 1) * options.lrDecay));
    foreach.addcdiv_(params, grads, denominator, rates);
  }
}
