import * as torch from '../torch/index.js';
import { flag, notNegative, type Rule } from '../torch/rules.js';
import type { ParameterGroups } from './groups.js';
import { type AscentOptions, ListOptimizer, type Lists } from './list-optimizer.js';
import type { StateNames } from './state.js';

/** What `Rprop` takes by name. */
export interface RpropOptions extends AscentOptions {
  /** What a step size is multiplied by where the gradient's sign changed, and where it did not. */
  etas: [minus: number, plus: number];
  /** The least and the largest step size; they start at `lr`. */
  stepSizes: [least: number, most: number];
}

const isPair = (value: unknown): value is [number, number] =>
  Array.isArray(value) && value.length === 2 && value.every(Number.isFinite);
const etas: Rule = {
  expected: 'a number in (0, 1) and one above 1',
  holds: (value) => isPair(value) && value[0] > 0 && value[0] < 1 && value[1] > 1,
};
const stepSizes: Rule = {
  expected: 'two numbers, ascending',
  holds: (value) => isPair(value) && value[0] <= value[1],
};
const rules = { lr: notNegative, etas, stepSizes, maximize: flag };

/**
 * Resilient backpropagation (Riedmiller and Braun, 1993), by the signs of gradients of whole batches; numbers
 * and defaults as PyTorch's Rprop.
 */
export class Rprop extends ListOptimizer<RpropOptions> {
  constructor(groups: ParameterGroups<RpropOptions>, options: Partial<RpropOptions> = {}) {
    const defaults: RpropOptions = {
      lr: 1e-2,
      etas: [0.5, 1.2],
      stepSizes: [1e-6, 50],
      maximize: false,
    };
    super(groups, options, defaults, rules);
  }

  protected override stateNames(): StateNames {
    return { step: 'scalar', prev: 'like the parameter', step_size: 'like the parameter' };
  }

  protected override startOf(name: string, { lr }: RpropOptions): number {
    return name === 'step_size' ? lr : 0;
  }

  protected override move(options: RpropOptions, { params, grads, state }: Lists): void {
    const [minus, plus] = options.etas;
    const previous = state('prev');
    const sizes = state('step_size');
    for (const [i, parameter] of params.entries()) {
      const agreement = grads[i]!.mul(previous[i]!);
      const turned = agreement.lt(0);
      const factor = torch.onesLike(agreement).maskedFill_(turned, minus);
      sizes[i]!.mul_(factor.maskedFill_(agreement.gt(0), plus)).clamp_(...options.stepSizes);
      const gradient = grads[i]!.maskedFill(turned, 0);
      parameter.addcmul_(gradient.sign(), sizes[i]!, { value: -1 });
      previous[i]!.copy_(gradient);
    }
  }
}
