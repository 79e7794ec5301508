import { withDefaults } from '../../torch/require.js';
import { count, finite, fraction, index, listOf, positive } from '../../torch/rules.js';
import { checkRules } from '../rules.js';
import { type Schedulable, Schedule } from './schedule.js';

/** A schedule whose rates are the base rates times a function of the epoch. */
abstract class FactorSchedule extends Schedule {
  protected abstract factor(epoch: number): number;

  protected override rates(): number[] {
    const factor = this.factor(this.lastEpoch);
    return this.baseLrs.map((base) => base * factor);
  }
}

/** × gamma every `stepSize` epochs; as PyTorch's StepLR. */
export class StepLR extends FactorSchedule {
  readonly options: { stepSize: number; gamma: number };

  constructor(optimizer: Schedulable, options: { stepSize: number; gamma?: number }) {
    super(optimizer);
    this.options = withDefaults('StepLR', { stepSize: 0, gamma: 0.1 }, options);
    checkRules('StepLR', this.options, { stepSize: count, gamma: finite });
    this.apply();
  }

  protected override factor(epoch: number): number {
    return this.options.gamma ** Math.floor(epoch / this.options.stepSize);
  }
}

/** × gamma at every milestone, an epoch; one listed twice counts twice. As PyTorch's MultiStepLR. */
export class MultiStepLR extends FactorSchedule {
  readonly options: { milestones: number[]; gamma: number };

  constructor(optimizer: Schedulable, options: { milestones: number[]; gamma?: number }) {
    super(optimizer);
    this.options = withDefaults<{ milestones: number[]; gamma: number }>(
      'MultiStepLR',
      { milestones: [], gamma: 0.1 },
      options,
    );
    checkRules('MultiStepLR', this.options, { milestones: listOf(index), gamma: finite });
    this.apply();
  }

  protected override factor(epoch: number): number {
    return this.options.gamma ** this.options.milestones.filter((at) => at <= epoch).length;
  }
}

/** × gamma at every epoch; as PyTorch's ExponentialLR. */
export class ExponentialLR extends FactorSchedule {
  readonly options: { gamma: number };

  constructor(optimizer: Schedulable, options: { gamma: number }) {
    super(optimizer);
    this.options = withDefaults('ExponentialLR', { gamma: Number.NaN }, options);
    checkRules('ExponentialLR', this.options, { gamma: finite });
    this.apply();
  }

  protected override factor(epoch: number): number {
    return this.options.gamma ** epoch;
  }
}

/** × factor until `totalIters`; as PyTorch's ConstantLR. */
export class ConstantLR extends FactorSchedule {
  readonly options: { factor: number; totalIters: number };

  constructor(optimizer: Schedulable, options: { factor?: number; totalIters?: number } = {}) {
    super(optimizer);
    this.options = withDefaults('ConstantLR', { factor: 1 / 3, totalIters: 5 }, options);
    checkRules('ConstantLR', this.options, { factor: fraction, totalIters: index });
    this.apply();
  }

  protected override factor(epoch: number): number {
    return epoch >= this.options.totalIters ? 1 : this.options.factor;
  }
}

/** What `LinearLR` takes by name. */
export interface LinearLROptions {
  startFactor: number;
  endFactor: number;
  totalIters: number;
}

/** A line from `startFactor` to `endFactor` in `totalIters` epochs; as PyTorch's LinearLR. */
export class LinearLR extends FactorSchedule {
  readonly options: LinearLROptions;

  constructor(optimizer: Schedulable, options: Partial<LinearLROptions> = {}) {
    super(optimizer);
    const defaults = { startFactor: 1 / 3, endFactor: 1, totalIters: 5 };
    this.options = withDefaults('LinearLR', defaults, options);
    const rules = { startFactor: fraction, endFactor: fraction, totalIters: count };
    checkRules('LinearLR', this.options, rules);
    checkRules('LinearLR', { startFactor: this.options.startFactor }, { startFactor: positive });
    this.apply();
  }

  protected override factor(epoch: number): number {
    const { startFactor, endFactor, totalIters } = this.options;
    return startFactor + ((endFactor - startFactor) * Math.min(totalIters, epoch)) / totalIters;
  }
}

/** (1 − epoch / totalIters)^power, 0 afterwards; as PyTorch's PolynomialLR. */
export class PolynomialLR extends FactorSchedule {
  readonly options: { totalIters: number; power: number };

  constructor(optimizer: Schedulable, options: { totalIters?: number; power?: number } = {}) {
    super(optimizer);
    this.options = withDefaults('PolynomialLR', { totalIters: 5, power: 1 }, options);
    checkRules('PolynomialLR', this.options, { totalIters: count, power: finite });
    this.apply();
  }

  protected override factor(epoch: number): number {
    const { totalIters, power } = this.options;
    return (1 - Math.min(totalIters, epoch) / totalIters) ** power;
  }
}
