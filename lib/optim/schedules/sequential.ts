import { requireObject } from '../../torch/require.js';
import { index, listOf } from '../../torch/rules.js';
import { checkRules } from '../rules.js';
import { OptimizerError } from '../state.js';
import { ReduceLROnPlateau } from './plateau.js';
import { type Schedulable, Schedule, type ScheduleState } from './schedule.js';

/** What `SequentialLR` takes by name. */
export interface SequentialLROptions {
  schedulers: Schedule[];
  /** The epochs at which the second and the following begin, ascending. */
  milestones: number[];
}

/** Schedules one after the other, each from its own epoch 0; as PyTorch's SequentialLR. */
export class SequentialLR extends Schedule {
  readonly options: SequentialLROptions;

  constructor(optimizer: Schedulable, options: SequentialLROptions) {
    super(optimizer);
    requireObject(options, 'SequentialLR', 'options with schedulers and milestones');
    checkRules('SequentialLR', { milestones: options.milestones }, { milestones: listOf(index) });
    const { schedulers, milestones } = options;
    const fit = Array.isArray(schedulers) && schedulers.length === milestones.length + 1;
    const ascending = milestones.every((at, i) => i === 0 || at >= milestones[i - 1]!);
    if (!fit || !ascending) {
      throw new OptimizerError(
        `SequentialLR: found milestones [${milestones}] for ${schedulers?.length} schedulers, ` +
          'expected ascending ones, one less than schedulers',
      );
    }
    for (const [i, schedule] of schedulers.entries()) {
      const ours = schedule instanceof Schedule && schedule.optimizer === optimizer;
      if (ours && !(schedule instanceof ReduceLROnPlateau)) continue;
      throw new OptimizerError(
        `SequentialLR: found scheduler ${i} unfit, expected schedules of the same optimizer that ` +
          'need no measure',
      );
    }
    this.options = { schedulers: [...schedulers], milestones: [...milestones] };
    this.restart();
  }

  override step(): void {
    this.lastEpoch += 1;
    const at = this.#current();
    const starts = at > 0 && this.options.milestones[at - 1] === this.lastEpoch;
    if (starts) this.options.schedulers[at]!.restart();
    else this.options.schedulers[at]!.step();
  }

  override restart(): void {
    this.lastEpoch = 0;
    this.options.schedulers[this.#current()]!.restart();
  }

  override stateDict(): ScheduleState {
    const schedules = this.options.schedulers.map((schedule) => schedule.stateDict());
    return { ...super.stateDict(), schedules };
  }

  override loadStateDict(state: ScheduleState): void {
    this.checkState(state);
    const { schedulers } = this.options;
    if (state.schedules?.length !== schedulers.length) {
      throw new OptimizerError(
        `SequentialLR: found a state of ${state.schedules?.length} schedules, expected ${schedulers.length}`,
      );
    }
    for (const [i, schedule] of schedulers.entries()) schedule.loadStateDict(state.schedules[i]!);
    super.loadStateDict(state);
  }

  protected override rates(): number[] {
    return this.getLastLr();
  }

  #current(): number {
    return this.options.milestones.filter((at) => at <= this.lastEpoch).length;
  }
}
