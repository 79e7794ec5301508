import { finite, flag, notNegative } from '../torch/rules.js';
import type { ParameterGroups } from './groups.js';
import { ListOptimizer, type ListOptions, type Lists } from './list-optimizer.js';
import type { StateNames } from './state.js';

/** What `ASGD` takes by name. */
export interface ASGDOptions extends ListOptions {
  /** How fast parameters decay and rates fall. */
  lambd: number;
  /** The power by which rates fall. */
  alpha: number;
  /** The step from which on parameters are averaged. */
  t0: number;
}

const rules = {
  lr: notNegative,
  lambd: finite,
  alpha: finite,
  t0: finite,
  weightDecay: notNegative,
  maximize: flag,
};

/**
 * Averaged stochastic gradient descent (Polyak and Juditsky, 1992); numbers and defaults as PyTorch's ASGD.
 * The average is the state `ax` of a parameter, in the state dict.
 */
export class ASGD extends ListOptimizer<ASGDOptions> {
  protected override readonly hostState: readonly string[] = ['step', 'eta', 'mu'];

  constructor(groups: ParameterGroups<ASGDOptions>, options: Partial<ASGDOptions> = {}) {
    const defaults: ASGDOptions = {
      lr: 1e-2,
      lambd: 1e-4,
      alpha: 0.75,
      t0: 1e6,
      weightDecay: 0,
      maximize: false,
    };
    super(groups, options, defaults, rules);
  }

  protected override stateNames(): StateNames {
    return { step: 'scalar', eta: 'scalar', mu: 'scalar', ax: 'like the parameter' };
  }

  protected override startOf(name: string, { lr }: ASGDOptions): number {
    return name === 'eta' ? lr : name === 'mu' ? 1 : 0;
  }

  protected override move(options: ASGDOptions, { params, grads, steps, state }: Lists): void {
    const { lr, lambd, alpha, t0 } = options;
    const [rates, shares, averages] = [state('eta'), state('mu'), state('ax')];
    for (const [i, parameter] of params.entries()) {
      const rate = rates[i]!.item();
      const share = shares[i]!.item();
      const average = averages[i]!;
      parameter.mul_(1 - lambd * rate).add_(grads[i]!, { alpha: -rate });
      if (share === 1) average.copy_(parameter);
      else average.add_(parameter.sub(average).mul_(share));
      rates[i]!.fill_(lr / (1 + lambd * lr * steps[i]!) ** alpha);
      shares[i]!.fill_(1 / Math.max(1, steps[i]! - t0));
    }
  }
}
