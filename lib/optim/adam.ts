import { flag } from '../torch/rules.js';
import type { ParameterGroups } from './groups.js';
import type { Lists } from './list-optimizer.js';
import {
  type AdamOptions,
  MomentOptimizer,
  momentDefaults,
  momentRules,
  momentStates,
  moveAdam,
} from './moments.js';
import type { StateNames } from './state.js';

/** What `Adam` takes by name. */
export type { AdamOptions };

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
    moveAdam(options, lists);
  }
}
