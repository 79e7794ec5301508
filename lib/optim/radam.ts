import * as foreach from './foreach.js';
import type { ParameterGroups } from './groups.js';
import type { Lists } from './list-optimizer.js';
import {
  MomentOptimizer,
  type MomentOptions,
  momentDefaults,
  momentRules,
  momentStates,
  moveMoments,
} from './moments.js';
import type { StateNames } from './state.js';

/** What `RAdam` takes by name. */
export type RAdamOptions = MomentOptions;

/** Rectified Adam (Liu et al., 2020); numbers and defaults as PyTorch's RAdam. */
export class RAdam extends MomentOptimizer<RAdamOptions> {
  constructor(groups: ParameterGroups<RAdamOptions>, options: Partial<RAdamOptions> = {}) {
    super(groups, options, momentDefaults, momentRules);
  }

  protected override stateNames(): StateNames {
    return momentStates;
  }

  protected override move(options: RAdamOptions, lists: Lists): void {
    const { lr, eps } = options;
    const [beta1, beta2] = options.betas;
    const { params, steps } = lists;
    const [mean, square] = moveMoments(options, lists);

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
