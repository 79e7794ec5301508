import { describe } from '../../torch/errors.js';
import { requireObject } from '../../torch/require.js';
import { OptimizerError } from '../state.js';

/** A group whose rate a schedule sets; momentum or betas where a cycle moves them too. */
export interface ScheduledGroup {
  lr: number;
  initialLr: number;
  momentum?: number;
  betas?: [number, number];
}

/** What schedules need of an optimizer. */
export interface Schedulable {
  readonly groups: readonly ScheduledGroup[];
}

/** Plain JSON: how far a schedule is, and the rates that it has set. */
export interface ScheduleState {
  schedule: string;
  /** Calls of `step` so far. */
  lastEpoch: number;
  lastLr: number[];
  /** What a schedule keeps besides. */
  numbers: Record<string, number>;
  /** Of a sequence. */
  schedules?: ScheduleState[];
}

/**
 * What PyTorch's learning-rate schedulers share. Making one sets the rates of epoch 0; `step`, called
 * after the optimizer's steps of an epoch (or after each), sets those of the next. An epoch is
 * whatever passes between two calls.
 */
export abstract class Schedule {
  readonly optimizer: Schedulable;
  /** Calls of `step` so far. */
  lastEpoch = 0;
  /** What epochs are multiplied on, by group. */
  protected baseLrs: number[];

  constructor(optimizer: Schedulable) {
    requireObject(optimizer, new.target.name, 'an optimizer');
    if (!Array.isArray(optimizer.groups)) {
      throw new OptimizerError(
        `${new.target.name}: found ${describe(optimizer)}, expected an optimizer`,
      );
    }
    this.optimizer = optimizer;
    this.baseLrs = optimizer.groups.map(({ initialLr }) => initialLr);
  }

  /** The rates of this epoch, by group. */
  protected abstract rates(): number[];

  step(): void {
    this.lastEpoch += 1;
    this.apply();
  }

  /** Sets the rates of an epoch again from the start: how a sequence begins its next schedule. */
  restart(): void {
    this.lastEpoch = 0;
    this.apply();
  }

  /** The rates at present, by group. */
  getLastLr(): number[] {
    return this.optimizer.groups.map(({ lr }) => lr);
  }

  stateDict(): ScheduleState {
    return {
      schedule: this.constructor.name,
      lastEpoch: this.lastEpoch,
      lastLr: this.getLastLr(),
      numbers: this.numbers(),
    };
  }

  /**
   * Goes on from a state; its rates are set in the optimizer.
   * @throws {OptimizerError} for the state of another schedule or of other groups
   */
  loadStateDict(state: ScheduleState): void {
    this.checkState(state);
    this.lastEpoch = state.lastEpoch;
    this.setNumbers(state.numbers);
    for (const [i, group] of this.optimizer.groups.entries()) group.lr = state.lastLr[i]!;
  }

  protected numbers(): Record<string, number> {
    return {};
  }

  protected setNumbers(_numbers: Record<string, number>): void {}

  protected apply(): void {
    for (const [i, rate] of this.rates().entries()) this.optimizer.groups[i]!.lr = rate;
  }

  protected checkState(state: ScheduleState): void {
    const name = this.constructor.name;
    requireObject(state, name, 'a state dict');
    if (state.schedule !== name) {
      throw new OptimizerError(`found a state of ${describe(state.schedule)}, expected ${name}`);
    }
    const { groups } = this.optimizer;
    const { lastLr, lastEpoch } = state;
    const rates =
      Array.isArray(lastLr) && lastLr.length === groups.length && lastLr.every(Number.isFinite);
    if (!rates || !Number.isSafeInteger(lastEpoch) || lastEpoch < 0) {
      throw new OptimizerError(
        `${name}: found a state of epoch ${describe(lastEpoch)} with the rates ` +
          `${describe(lastLr)}, expected an epoch from 0 and ${groups.length} rates`,
      );
    }
    const wanted = Object.keys(this.numbers());
    const numbers: Record<string, unknown> = state.numbers ?? {};
    const wrong = wanted.find((key) => typeof numbers[key] !== 'number');
    if (wrong === undefined) return;
    throw new OptimizerError(
      `${name}: found ${describe(numbers[wrong])} for ${wrong} in a state, expected a number`,
    );
  }
}

/** A value for each group: one for all, or a list as long as the groups. */
export function perGroup<T>(where: string, optimizer: Schedulable, value: T | readonly T[]): T[] {
  const { length } = optimizer.groups;
  if (!Array.isArray(value)) return new Array<T>(length).fill(value as T);
  if (value.length === length) return [...value];
  throw new OptimizerError(
    `${where}: found ${value.length} values, expected one for each of ${length} groups`,
  );
}
