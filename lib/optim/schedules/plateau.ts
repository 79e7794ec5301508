import { withDefaults } from '../../torch/require.js';
import { belowOne, either, index, listOf, notNegative, oneOf } from '../../torch/rules.js';
import { checkRules } from '../rules.js';
import { OptimizerError } from '../state.js';
import { perGroup, type Schedulable, Schedule } from './schedule.js';

/** What `ReduceLROnPlateau` takes by name. */
export interface PlateauOptions {
  /** Whether less or more is better. */
  mode: 'min' | 'max';
  factor: number;
  /** Epochs without improvement that are put up with. */
  patience: number;
  /** By how much a value must be better. */
  threshold: number;
  /** Relative to the best value, or absolute. */
  thresholdMode: 'rel' | 'abs';
  /** Epochs after a reduction in which none counts as bad. */
  cooldown: number;
  /** One for all groups, or one for each. */
  minLr: number | number[];
  /** Reductions that are no larger are left out. */
  eps: number;
}

const rules = {
  mode: oneOf('min', 'max'),
  factor: belowOne,
  patience: index,
  threshold: notNegative,
  thresholdMode: oneOf('rel', 'abs'),
  cooldown: index,
  minLr: either(notNegative, listOf(notNegative)),
  eps: notNegative,
};

/** Reduces rates when a measure no longer gets better; as PyTorch's ReduceLROnPlateau. */
export class ReduceLROnPlateau extends Schedule {
  readonly options: PlateauOptions;
  readonly #minLrs: number[];
  #best: number | null = null;
  #badEpochs = 0;
  #cooldown = 0;

  constructor(optimizer: Schedulable, options: Partial<PlateauOptions> = {}) {
    super(optimizer);
    const defaults: PlateauOptions = {
      mode: 'min',
      factor: 0.1,
      patience: 10,
      threshold: 1e-4,
      thresholdMode: 'rel',
      cooldown: 0,
      minLr: 0,
      eps: 1e-8,
    };
    this.options = withDefaults('ReduceLROnPlateau', defaults, options);
    checkRules('ReduceLROnPlateau', this.options, rules);
    this.#minLrs = perGroup('ReduceLROnPlateau: minLr', optimizer, this.options.minLr);
  }

  /** @param measure what `mode` is about, such as a loss on validation data; NaN is never better */
  override step(measure?: number): void {
    if (typeof measure !== 'number') {
      throw new OptimizerError(
        `ReduceLROnPlateau: found ${typeof measure} for the measure, expected a number: loss.item()`,
      );
    }
    this.lastEpoch += 1;
    const better = this.#isBetter(measure);
    if (better) this.#best = measure;
    this.#badEpochs = better ? 0 : this.#badEpochs + 1;
    if (this.#cooldown > 0) {
      this.#cooldown -= 1;
      this.#badEpochs = 0;
    }
    if (this.#badEpochs <= this.options.patience) return;
    this.apply();
    this.#cooldown = this.options.cooldown;
    this.#badEpochs = 0;
  }

  protected override rates(): number[] {
    const { factor, eps } = this.options;
    return this.optimizer.groups.map(({ lr }, i) => {
      const reduced = Math.max(lr * factor, this.#minLrs[i]!);
      return lr - reduced > eps ? reduced : lr;
    });
  }

  // Numbers of a state are finite, as it is JSON: without a best value there is none of it.
  protected override numbers(): Record<string, number> {
    const known = this.#best !== null;
    return {
      hasBest: Number(known),
      best: this.#best ?? 0,
      badEpochs: this.#badEpochs,
      cooldown: this.#cooldown,
    };
  }

  protected override setNumbers(numbers: Record<string, number>): void {
    this.#best = numbers.hasBest === 0 ? null : numbers.best!;
    this.#badEpochs = numbers.badEpochs!;
    this.#cooldown = numbers.cooldown!;
  }

  #isBetter(measure: number): boolean {
    const { mode, threshold, thresholdMode } = this.options;
    const sign = mode === 'min' ? -1 : 1;
    if (this.#best === null) return !Number.isNaN(measure) && measure !== -sign * Infinity;
    const bound =
      thresholdMode === 'rel' ? this.#best * (1 + sign * threshold) : this.#best + sign * threshold;
    return mode === 'min' ? measure < bound : measure > bound;
  }
}
