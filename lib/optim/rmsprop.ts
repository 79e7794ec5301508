import { flag, fraction, notNegative } from '../torch/rules.js';
import * as foreach from './foreach.js';
import type { ParameterGroups } from './groups.js';
import { ListOptimizer, type ListOptions, type Lists } from './list-optimizer.js';
import type { StateNames } from './state.js';

/** What `RMSprop` takes by name. */
export interface RMSpropOptions extends ListOptions {
  /** The factor of the moving averages. */
  alpha: number;
  /** Added to the denominator. */
  eps: number;
  momentum: number;
  /** Divides by the estimated deviation instead of the root of the mean square. */
  centered: boolean;
}

const rules = {
  lr: notNegative,
  alpha: fraction,
  eps: notNegative,
  weightDecay: notNegative,
  momentum: notNegative,
  centered: flag,
  maximize: flag,
};

/**
 * RMSprop (Tieleman and Hinton, 2012; centred: Graves, 2013); numbers and defaults as PyTorch's
 * RMSprop, whose eps is added outside the root.
 */
export class RMSprop extends ListOptimizer<RMSpropOptions> {
  constructor(groups: ParameterGroups<RMSpropOptions>, options: Partial<RMSpropOptions> = {}) {
    const defaults: RMSpropOptions = {
      lr: 1e-2,
      alpha: 0.99,
      eps: 1e-8,
      weightDecay: 0,
      momentum: 0,
      centered: false,
      maximize: false,
    };
    super(groups, options, defaults, rules);
  }

  protected override stateNames({ centered, momentum }: RMSpropOptions): StateNames {
    return {
      step: 'scalar',
      square_avg: 'like the parameter',
      ...(centered && { grad_avg: 'like the parameter' }),
      ...(momentum > 0 && { momentum_buffer: 'like the parameter' }),
    };
  }

  protected override move(options: RMSpropOptions, { params, grads, state }: Lists): void {
    const { lr, alpha, eps, momentum } = options;
    const square = state('square_avg');
    foreach.mul_(square, alpha);
    foreach.addcmul_(square, grads, grads, 1 - alpha);
    let variance = square;
    if (options.centered) {
      const mean = state('grad_avg');
      foreach.lerp_(mean, grads, 1 - alpha);
      variance = foreach.addcmul(square, mean, mean, -1);
    }
    const denominator = foreach.sqrt(variance);
    foreach.add_(denominator, eps);
    if (momentum === 0) {
      foreach.addcdiv_(params, grads, denominator, -lr);
      return;
    }
    const buffer = state('momentum_buffer');
    foreach.mul_(buffer, momentum);
    foreach.addcdiv_(buffer, grads, denominator, 1);
    foreach.add_(params, buffer, { alpha: -lr });
  }
}
