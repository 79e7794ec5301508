import { requireObject, withDefaults } from '../../torch/require.js';
import { count, either, flag, fraction, listOf, oneOf, positive } from '../../torch/rules.js';
import { checkRules } from '../rules.js';
import { OptimizerError } from '../state.js';
import { checkMomentum, setMomentum } from './momentum.js';
import { perGroup, type Schedulable, Schedule } from './schedule.js';

/** What `OneCycleLR` takes by name. */
export interface OneCycleLROptions {
  /** The peak; one for all groups, or one for each. */
  maxLr: number | number[];
  /** The length of the cycle in steps; or `epochs` times `stepsPerEpoch`. */
  totalSteps: number;
  /** The share of the cycle in which the rate rises. */
  pctStart: number;
  annealStrategy: 'cos' | 'linear';
  /** Moves the momentum against the rate. */
  cycleMomentum: boolean;
  baseMomentum: number | number[];
  maxMomentum: number | number[];
  /** The peak over the first rate. */
  divFactor: number;
  /** The first rate over the last. */
  finalDivFactor: number;
  /** Falls as it rose before it goes on to the last rate. */
  threePhase: boolean;
}

/** The length by steps or by epochs, the others with defaults. */
export type OneCycleLRGiven = Partial<OneCycleLROptions> &
  Pick<OneCycleLROptions, 'maxLr'> & { epochs?: number; stepsPerEpoch?: number };

const numbers = either(positive, listOf(positive));
const shares = either(fraction, listOf(fraction));
const rules = {
  maxLr: numbers,
  totalSteps: count,
  pctStart: fraction,
  annealStrategy: oneOf('cos', 'linear'),
  cycleMomentum: flag,
  baseMomentum: shares,
  maxMomentum: shares,
  divFactor: positive,
  finalDivFactor: positive,
  threePhase: flag,
};

/** A step until which a phase lasts, and what goes to what: 0 is the first rate, 1 peak, 2 last. */
type Phase = readonly [end: number, from: 0 | 1 | 2, to: 0 | 1 | 2];

/** One rise and fall (Smith and Topin, 2018), a step for each batch; as PyTorch's OneCycleLR. */
export class OneCycleLR extends Schedule {
  readonly options: OneCycleLROptions;
  readonly #phases: Phase[];
  readonly #momenta: readonly [base: number[], most: number[]];

  constructor(optimizer: Schedulable, given: OneCycleLRGiven) {
    super(optimizer);
    requireObject(given, 'OneCycleLR', 'options with a maxLr');
    const { epochs, stepsPerEpoch, ...options } = given;
    const defaults: OneCycleLROptions = {
      maxLr: Number.NaN,
      totalSteps: (epochs ?? 0) * (stepsPerEpoch ?? 0),
      pctStart: 0.3,
      annealStrategy: 'cos',
      cycleMomentum: true,
      baseMomentum: 0.85,
      maxMomentum: 0.95,
      divFactor: 25,
      finalDivFactor: 1e4,
      threePhase: false,
    };
    this.options = withDefaults('OneCycleLR', defaults, options);
    checkRules('OneCycleLR', this.options, rules);
    const { totalSteps, pctStart, threePhase, maxLr, baseMomentum, maxMomentum } = this.options;
    if (this.options.cycleMomentum) checkMomentum('OneCycleLR', optimizer);
    const rise = pctStart * totalSteps - 1;
    const end = totalSteps - 1;
    const up: Phase = [rise, 0, 1];
    this.#phases = threePhase ? [up, [2 * rise, 1, 0], [end, 0, 2]] : [up, [end, 1, 2]];
    this.#momenta = [
      perGroup('OneCycleLR: baseMomentum', optimizer, baseMomentum),
      perGroup('OneCycleLR: maxMomentum', optimizer, maxMomentum),
    ];
    this.baseLrs = perGroup('OneCycleLR: maxLr', optimizer, maxLr);
    this.apply();
  }

  /** @throws {OptimizerError} beyond the end of the cycle */
  override step(): void {
    if (this.lastEpoch >= this.options.totalSteps) {
      throw new OptimizerError(
        `OneCycleLR: found step ${this.lastEpoch + 1}, expected no more than totalSteps, ` +
          `${this.options.totalSteps}`,
      );
    }
    super.step();
  }

  protected override rates(): number[] {
    let start = 0;
    let phase = this.#phases[0]!;
    for (phase of this.#phases) {
      if (this.lastEpoch <= phase[0]) break;
      if (phase !== this.#phases.at(-1)) start = phase[0];
    }
    const [end, from, to] = phase;
    const share = end === start ? 0 : (this.lastEpoch - start) / (end - start);
    const { divFactor, finalDivFactor, cycleMomentum } = this.options;
    if (cycleMomentum) {
      const [base, most] = this.#momenta;
      const of = (point: 0 | 1 | 2, i: number) => (point === 1 ? base[i]! : most[i]!);
      const moved = base.map((_, i) => this.#between(of(from, i), of(to, i), share));
      setMomentum(this.optimizer, moved);
    }
    return this.baseLrs.map((peak) => {
      const first = peak / divFactor;
      const points = [first, peak, first / finalDivFactor] as const;
      return this.#between(points[from], points[to], share);
    });
  }

  #between(from: number, to: number, share: number): number {
    if (this.options.annealStrategy === 'linear') return from + (to - from) * share;
    return to + ((from - to) / 2) * (1 + Math.cos(Math.PI * share));
  }
}
