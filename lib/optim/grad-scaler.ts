import * as torch from '../torch/index.js';
import { withDefaults } from '../torch/require.js';
import { count, flag, positive } from '../torch/rules.js';
import { byKind, type Optimizer } from './optimizer.js';
import { checkRules } from './rules.js';
import { OptimizerError } from './state.js';

/** What `GradScaler` takes by name. */
export interface GradScalerOptions {
  /** What losses are multiplied by at first. */
  initScale: number;
  /** The scale is multiplied by this after `growthInterval` steps without overflow, */
  growthFactor: number;
  /** and by this after one with. */
  backoffFactor: number;
  growthInterval: number;
  /** Without, losses and steps pass as they are. */
  enabled: boolean;
}

const rules = {
  initScale: positive,
  growthFactor: positive,
  backoffFactor: positive,
  growthInterval: count,
  enabled: flag,
};

/** What `stateDict` gives: plain JSON. */
export interface GradScalerState {
  scale: number;
  /** Steps without overflow since the scale last changed. */
  growthTracker: number;
}

type AnyOptimizer = Optimizer<{ lr: number }>;

/**
 * Scales losses so that gradients of float16 do not vanish, and leaves out steps whose gradients
 * overflowed (Micikevicius et al., 2018); as PyTorch's.
 *
 * @example
 * scaler.scale(loss).backward();
 * scaler.step(optimizer);
 * scaler.update();
 */
export class GradScaler {
  readonly options: GradScalerOptions;
  #scale: number;
  #growthTracker = 0;
  /** Whether gradients of this optimizer were unscaled since the last update, and overflowed. */
  readonly #unscaled = new Map<object, boolean>();

  constructor(options: Partial<GradScalerOptions> = {}) {
    const defaults = {
      initScale: 2 ** 16,
      growthFactor: 2,
      backoffFactor: 0.5,
      growthInterval: 2000,
      enabled: true,
    };
    this.options = withDefaults('GradScaler', defaults, options);
    checkRules<GradScalerOptions>('GradScaler', this.options, rules);
    this.#scale = this.options.initScale;
  }

  /** The loss times the scale. */
  scale(loss: torch.Tensor): torch.Tensor {
    return this.options.enabled ? loss.mul(this.#scale) : loss;
  }

  getScale(): number {
    return this.options.enabled ? this.#scale : 1;
  }

  /**
   * Divides the gradients by the scale, in place: before they are clipped, say. `step` does it otherwise.
   * @throws {OptimizerError} where that was done since the last `update`
   */
  unscale_(optimizer: AnyOptimizer): void {
    if (!this.options.enabled) return;
    if (this.#unscaled.has(optimizer)) {
      throw new OptimizerError(
        'GradScaler.unscale_: the gradients of this optimizer were unscaled since the last update(): ' +
          'call update() once after each step',
      );
    }
    const overflowed = torch.scope(() =>
      torch.noGrad(() => {
        let overflow = false;
        const params = optimizer.groups.flatMap((group) => group.params);
        for (const { grads } of byKind(params, undefined)) {
          const { device } = grads[0]!;
          const found = torch.zeros([1], { device });
          const inverse = torch.full([1], 1 / this.#scale, { device, dtype: 'float32' });
          torch.ops.aten!._amp_foreach_non_finite_check_and_unscale_!(grads, found, inverse);
          overflow ||= found.item() !== 0;
        }
        return overflow;
      }),
    );
    this.#unscaled.set(optimizer, overflowed);
  }

  /** The optimizer's step, unless a gradient is infinite or NaN. */
  step(optimizer: AnyOptimizer): void {
    if (!this.options.enabled) {
      optimizer.step();
      return;
    }
    if (!this.#unscaled.has(optimizer)) this.unscale_(optimizer);
    if (this.#unscaled.get(optimizer) === false) optimizer.step();
  }

  /** After the steps of all optimizers: the scale of the next. */
  update(): void {
    if (!this.options.enabled) return;
    if (this.#unscaled.size === 0) {
      throw new OptimizerError('GradScaler.update: no step was taken since the last update()');
    }
    const { growthFactor, backoffFactor, growthInterval } = this.options;
    if ([...this.#unscaled.values()].some(Boolean)) {
      this.#scale *= backoffFactor;
      this.#growthTracker = 0;
    } else if (++this.#growthTracker === growthInterval) {
      const grown = this.#scale * growthFactor;
      if (Number.isFinite(Math.fround(grown))) this.#scale = grown;
      this.#growthTracker = 0;
    }
    this.#unscaled.clear();
  }

  stateDict(): GradScalerState {
    return { scale: this.#scale, growthTracker: this.#growthTracker };
  }

  /** @throws {OptimizerError} for what is no state of a scaler */
  loadStateDict({ scale, growthTracker }: GradScalerState): void {
    if (!positive.holds(scale) || !Number.isSafeInteger(growthTracker) || growthTracker < 0) {
      throw new OptimizerError(
        `GradScaler: found scale ${scale} and growthTracker ${growthTracker}, expected a positive number and a count`,
      );
    }
    this.#scale = scale;
    this.#growthTracker = growthTracker;
  }
}
