import { requireFunction, requireObject } from '../../torch/require.js';
import { perGroup, type Schedulable, Schedule } from './schedule.js';

/** A factor by epoch. */
export type RateFunction = (epoch: number) => number;

/** What `LambdaLR` takes by name. */
export interface LambdaLROptions {
  /** One for all groups, or one for each. */
  lrLambda: RateFunction | readonly RateFunction[];
}

/** The base rates times a function of the epoch; as PyTorch's LambdaLR. Its state has no functions. */
export class LambdaLR extends Schedule {
  readonly #functions: RateFunction[];

  constructor(optimizer: Schedulable, options: LambdaLROptions) {
    super(optimizer);
    requireObject(options, 'LambdaLR', 'options with lrLambda');
    this.#functions = perGroup('LambdaLR: lrLambda', optimizer, options.lrLambda);
    for (const given of this.#functions) requireFunction(given, 'LambdaLR: lrLambda');
    this.apply();
  }

  protected override rates(): number[] {
    return this.baseLrs.map((base, i) => base * this.#functions[i]!(this.lastEpoch));
  }
}

/** Rates times the product of a function over the epochs since 0; as PyTorch's MultiplicativeLR. */
export class MultiplicativeLR extends Schedule {
  readonly #functions: RateFunction[];

  constructor(optimizer: Schedulable, options: LambdaLROptions) {
    super(optimizer);
    requireObject(options, 'MultiplicativeLR', 'options with lrLambda');
    this.#functions = perGroup('MultiplicativeLR: lrLambda', optimizer, options.lrLambda);
    for (const given of this.#functions) requireFunction(given, 'MultiplicativeLR: lrLambda');
    this.apply();
  }

  protected override rates(): number[] {
    if (this.lastEpoch === 0) return this.baseLrs;
    return this.optimizer.groups.map(({ lr }, i) => lr * this.#functions[i]!(this.lastEpoch));
  }
}
