import { flag } from '../torch/rules.js';
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
} from './moments.js';
import type { StateNames } from './state.js';

export interface AdamOptions extends MomentOptions {
  /** Divides by the largest average of the square so far (Reddi et al., 2018). */
  amsgrad: boolean;
}

const rules = { ...momentRules, amsgrad: flag };

/** Adam (Kingma and Ba, 2015); numbers and defaults as PyTorch's Adam. */
export class Adam extends MomentOptimizer<AdamOptions> {
  constructor(groups: ParameterGroups<AdamOptions>, options: Partial<AdamOptions> = {}) {
    super(groups, options, { ...momentDefaults, amsgrad: false }, rules);
  }

  protected override stateNames({ amsgrad }: AdamOptions): StateNames {
    return { ...momentStates, ...(amsgrad && { max_exp_avg_sq: 'like the parameter' }) };
  }

  protected override move(options: AdamOptions, lists: Lists): void {
    const { params, steps, state } = lists;
    const [mean, square] = this.moments(options, lists);
    const largest = options.amsgrad ? state('max_exp_avg_sq') : square;
    if (options.amsgrad) foreach.maximum_(largest, square);
    const denominator = denominatorOf(largest, steps, options);
    const rates = steps.map((step) => -options.lr / (1 - options.betas[0] ** step));
    foreach.addcdiv_(params, mean, denominator, rates);
  }
}
