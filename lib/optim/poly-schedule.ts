import { requireObject } from '../torch/require.js';
import { OptimizerError } from './state.js';

/** What `PolySchedule` takes by name. */
export interface PolyScheduleOptions {
  /** T: the iteration at which the factor reaches 0. */
  total: number;
  power?: number;
  /** Iterations of linear warm-up; 0 for none. */
  warmup?: number;
  /** The share of the rate at the first iteration of the warm-up. */
  warmupRatio?: number;
}

interface Schedulable {
  groups: { lr: number; initialLr: number }[];
}

/** Poly decay (1 − t/T)^power per iteration t from 0, times a linear rise in the warm-up. */
export class PolySchedule {
  readonly total: number;
  readonly power: number;
  readonly warmup: number;
  readonly warmupRatio: number;

  constructor(options: PolyScheduleOptions) {
    requireObject(options, 'PolySchedule', 'options with a total');
    this.total = options.total;
    this.power = options.power ?? 0.9;
    this.warmup = options.warmup ?? 0;
    this.warmupRatio = options.warmupRatio ?? 1e-6;
    if (!(this.total > 0) || !(this.warmup >= 0)) {
      throw new OptimizerError(
        `PolySchedule: total ${this.total}, warmup ${this.warmup}: ` +
          'expected a positive total and a warm-up that is not negative.',
      );
    }
  }

  /** What base learning rates are multiplied by at iteration t; 0 from T on. */
  factor(t: number): number {
    const decay = Math.max(0, 1 - t / this.total) ** this.power;
    if (t >= this.warmup) return decay;
    return decay * (this.warmupRatio + (1 - this.warmupRatio) * (t / this.warmup));
  }

  /** Sets the learning rate of every group for iteration t. */
  apply(optimizer: Schedulable, t: number): void {
    const factor = this.factor(t);
    for (const group of optimizer.groups) group.lr = group.initialLr * factor;
  }
}
