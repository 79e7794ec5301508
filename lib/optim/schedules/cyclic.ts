import { withDefaults } from '../../torch/require.js';
import { count, either, flag, fraction, listOf, notNegative, oneOf } from '../../torch/rules.js';
import { checkRules } from '../rules.js';
import { checkMomentum, setMomentum } from './momentum.js';
import { perGroup, type Schedulable, Schedule } from './schedule.js';

/** What `CyclicLR` takes by name. */
export interface CyclicLROptions {
  /** The least rate; one for all groups, or one for each. */
  baseLr: number | number[];
  maxLr: number | number[];
  /** Steps in which the rate rises. */
  stepSizeUp: number;
  /** Steps in which it falls; as many as it rises without. */
  stepSizeDown: number;
  /** Peaks of one height, halved with each cycle, or times gamma^step. */
  mode: 'triangular' | 'triangular2' | 'exp_range';
  gamma: number;
  /**
   * The height of peaks, in the place of `mode` and `gamma`: of the cycle, counted from 1, or of the step.
   * Null: none. A state dict does not hold it.
   */
  scaleFn: ((count: number) => number) | null;
  /** What `scaleFn` is given: the cycle or the step. */
  scaleMode: 'cycle' | 'iterations';
  /** Moves the momentum against the rate. */
  cycleMomentum: boolean;
  baseMomentum: number | number[];
  maxMomentum: number | number[];
}

const rates = either(notNegative, listOf(notNegative));
const shares = either(fraction, listOf(fraction));
const rules = {
  baseLr: rates,
  maxLr: rates,
  stepSizeUp: count,
  stepSizeDown: count,
  mode: oneOf('triangular', 'triangular2', 'exp_range'),
  gamma: notNegative,
  scaleFn: {
    expected: 'a function or null',
    holds: (value: unknown) => value === null || typeof value === 'function',
  },
  scaleMode: oneOf('cycle', 'iterations'),
  cycleMomentum: flag,
  baseMomentum: shares,
  maxMomentum: shares,
};

/** Rates to and fro between two bounds (Smith, 2017), a step for each batch; as PyTorch's CyclicLR. */
export class CyclicLR extends Schedule {
  readonly options: CyclicLROptions;
  readonly #peaks: number[];
  readonly #momenta: readonly [base: number[], most: number[]];

  constructor(
    optimizer: Schedulable,
    options: Partial<CyclicLROptions> & Pick<CyclicLROptions, 'baseLr' | 'maxLr'>,
  ) {
    super(optimizer);
    const defaults: CyclicLROptions = {
      baseLr: Number.NaN,
      maxLr: Number.NaN,
      stepSizeUp: 2000,
      stepSizeDown: options?.stepSizeUp ?? 2000,
      mode: 'triangular',
      gamma: 1,
      scaleFn: null,
      scaleMode: 'cycle',
      cycleMomentum: true,
      baseMomentum: 0.8,
      maxMomentum: 0.9,
    };
    this.options = withDefaults('CyclicLR', defaults, options);
    checkRules('CyclicLR', this.options, rules);
    if (this.options.cycleMomentum) checkMomentum('CyclicLR', optimizer);
    this.baseLrs = perGroup('CyclicLR: baseLr', optimizer, this.options.baseLr);
    this.#peaks = perGroup('CyclicLR: maxLr', optimizer, this.options.maxLr);
    this.#momenta = [
      perGroup('CyclicLR: baseMomentum', optimizer, this.options.baseMomentum),
      perGroup('CyclicLR: maxMomentum', optimizer, this.options.maxMomentum),
    ];
    this.apply();
  }

  protected override rates(): number[] {
    const { stepSizeUp, stepSizeDown, cycleMomentum } = this.options;
    const length = stepSizeUp + stepSizeDown;
    const cycle = Math.floor(this.lastEpoch / length);
    const at = this.lastEpoch % length;
    const height = at <= stepSizeUp ? at / stepSizeUp : (length - at) / stepSizeDown;
    const scale = height * this.#scale(cycle);
    if (cycleMomentum) {
      const [base, most] = this.#momenta;
      const moved = most.map((top, i) => top - (top - base[i]!) * scale);
      setMomentum(this.optimizer, moved);
    }
    return this.baseLrs.map((base, i) => base + (this.#peaks[i]! - base) * scale);
  }

  /** The height of a cycle, counted from 0. */
  #scale(cycle: number): number {
    const { mode, gamma, scaleFn, scaleMode } = this.options;
    if (scaleFn !== null) return scaleFn(scaleMode === 'cycle' ? cycle + 1 : this.lastEpoch);
    if (mode === 'triangular') return 1;
    return mode === 'triangular2' ? 0.5 ** cycle : gamma ** this.lastEpoch;
  }
}
