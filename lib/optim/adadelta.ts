import { flag, fraction, notNegative } from '../torch/rules.js';
import * as foreach from './foreach.js';
import type { ParameterGroups } from './groups.js';
import { ListOptimizer, type ListOptions, type Lists } from './list-optimizer.js';
import type { StateNames } from './state.js';

/** What `Adadelta` takes by name. */
export interface AdadeltaOptions extends ListOptions {
  /** The factor of both moving averages. */
  rho: number;
  /** Added below both roots. */
  eps: number;
}

const rules = {
  lr: notNegative,
  rho: fraction,
  eps: notNegative,
  weightDecay: notNegative,
  maximize: flag,
};

/** Adadelta (Zeiler, 2012); numbers and defaults as PyTorch's Adadelta. */
export class Adadelta extends ListOptimizer<AdadeltaOptions> {
  constructor(groups: ParameterGroups<AdadeltaOptions>, options: Partial<AdadeltaOptions> = {}) {
    const defaults: AdadeltaOptions = {
      lr: 1,
      rho: 0.9,
      eps: 1e-6,
      weightDecay: 0,
      maximize: false,
    };
    super(groups, options, defaults, rules);
  }

  protected override stateNames(): StateNames {
    return { step: 'scalar', square_avg: 'like the parameter', acc_delta: 'like the parameter' };
  }

  protected override move(options: AdadeltaOptions, { params, grads, state }: Lists): void {
    const { lr, rho, eps } = options;
    const square = state('square_avg');
    const moved = state('acc_delta');
    foreach.mul_(square, rho);
    foreach.addcmul_(square, grads, grads, 1 - rho);
    const denominator = foreach.add(square, eps);
    foreach.sqrt_(denominator);
    const deltas = foreach.add(moved, eps);
    foreach.sqrt_(deltas);
    foreach.div_(deltas, denominator);
    foreach.mul_(deltas, grads);
    foreach.mul_(moved, rho);
    foreach.addcmul_(moved, deltas, deltas, 1 - rho);
    foreach.add_(params, deltas, { alpha: -lr });
  }
}
