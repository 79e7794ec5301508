import { withDefaults } from '../../torch/require.js';
import { count, finite } from '../../torch/rules.js';
import { checkRules } from '../rules.js';
import { type Schedulable, Schedule } from './schedule.js';

const cosine = (base: number, least: number, share: number) =>
  least + ((base - least) * (1 + Math.cos(Math.PI * share))) / 2;

/** Half a cosine from the base rate to `etaMin` in `tMax` epochs, and back; as PyTorch's CosineAnnealingLR. */
export class CosineAnnealingLR extends Schedule {
  readonly options: { tMax: number; etaMin: number };

  constructor(optimizer: Schedulable, options: { tMax: number; etaMin?: number }) {
    super(optimizer);
    this.options = withDefaults('CosineAnnealingLR', { tMax: 0, etaMin: 0 }, options);
    checkRules('CosineAnnealingLR', this.options, { tMax: count, etaMin: finite });
    this.apply();
  }

  protected override rates(): number[] {
    const { tMax, etaMin } = this.options;
    return this.baseLrs.map((base) => cosine(base, etaMin, this.lastEpoch / tMax));
  }
}

/** What `CosineAnnealingWarmRestarts` takes by name. */
export interface WarmRestartsOptions {
  /** Epochs until the first restart. */
  t0: number;
  /** How much longer each period is than the one before. */
  tMult: number;
  etaMin: number;
}

/** Cosine annealing that starts anew (SGDR: Loshchilov and Hutter, 2017); as PyTorch's. */
export class CosineAnnealingWarmRestarts extends Schedule {
  readonly options: WarmRestartsOptions;

  constructor(
    optimizer: Schedulable,
    options: Partial<WarmRestartsOptions> & Pick<WarmRestartsOptions, 't0'>,
  ) {
    super(optimizer);
    const name = 'CosineAnnealingWarmRestarts';
    this.options = withDefaults(name, { t0: 0, tMult: 1, etaMin: 0 }, options);
    checkRules(name, this.options, { t0: count, tMult: count, etaMin: finite });
    this.apply();
  }

  protected override rates(): number[] {
    const { t0, tMult, etaMin } = this.options;
    let [start, period] = [0, t0];
    if (tMult === 1) start = this.lastEpoch - (this.lastEpoch % t0);
    else {
      for (; this.lastEpoch >= start + period; period *= tMult) start += period;
    }
    return this.baseLrs.map((base) => cosine(base, etaMin, (this.lastEpoch - start) / period));
  }
}
