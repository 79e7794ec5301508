import * as torch from '../torch/index.js';
import { withDefaults } from '../torch/require.js';
import type { ParameterGroups } from './groups.js';
import { Optimizer, type UpdateLists } from './optimizer.js';
import { OptimizerError, type StateNames } from './state.js';

/** What `AdamW` takes by name. */
export interface AdamWOptions {
  lr: number;
  betas: [number, number];
  eps: number;
  weightDecay: number;
}

/** Adam with decoupled weight decay (Loshchilov and Hutter, 2019); numbers as PyTorch's AdamW. */
export class AdamW extends Optimizer<AdamWOptions> {
  constructor(groups: ParameterGroups<AdamWOptions>, options: Partial<AdamWOptions> = {}) {
    const defaults: AdamWOptions = { lr: 1e-3, betas: [0.9, 0.999], eps: 1e-8, weightDecay: 1e-2 };
    super(groups, withDefaults('AdamW', defaults, options));
    for (const group of this.groups) this.checkOptions(group);
  }

  protected override checkOptions({ lr, betas, eps, weightDecay }: AdamWOptions): void {
    const inside =
      Array.isArray(betas) && betas.length === 2 && betas.every((beta) => beta >= 0 && beta < 1);
    if (inside && lr >= 0 && eps >= 0 && weightDecay >= 0) return;
    throw new OptimizerError(
      `AdamW: lr ${lr}, betas ${betas}, eps ${eps}, weightDecay ${weightDecay}: expected betas in ` +
        '[0, 1), the others not negative.',
    );
  }

  protected override stateNames(): StateNames {
    return {
      step: 'scalar',
      exp_avg: 'like the parameter',
      exp_avg_sq: 'like the parameter',
    };
  }

  protected override readonly hostState = ['step'];
  protected override readonly movesAverages = true;

  protected override update(
    options: AdamWOptions,
    { params, grads, averages }: UpdateLists,
    factor: number,
    numbers?: torch.Tensor,
  ): void {
    const states = params.map((parameter) => this.#stateOf(parameter));
    const of = (name: string) => states.map((state) => state[name]!);
    torch.ops.m3l!.adamw_ema_!(
      params,
      grads,
      of('exp_avg'),
      of('exp_avg_sq'),
      numbers ? [] : of('step'),
      averages,
      {
        lr: options.lr,
        beta1: options.betas[0],
        beta2: options.betas[1],
        eps: options.eps,
        weightDecay: options.weightDecay,
        emaFactor: factor,
        scalars: numbers,
      },
    );
  }

  protected override readonly numbersPerList = 4;

  protected override numbersOf(
    { lr, betas }: AdamWOptions,
    params: readonly torch.Tensor[],
    factor: number,
  ): number[] {
    const steps = params.map((parameter) => this.#stateOf(parameter).step!);
    torch._foreachAdd_(steps, 1);
    const step = steps[0]!.item();
    return [lr, 1 - betas[0] ** step, 1 - betas[1] ** step, factor];
  }

  protected override stepsOf(parameter: torch.Tensor): number {
    return this.hasState(parameter) ? this.#stateOf(parameter).step!.item() : 0;
  }

  #stateOf(parameter: torch.Tensor): Record<string, torch.Tensor> {
    return this.stateOf(parameter, () => ({
      step: () => torch.zeros([]),
      exp_avg: () => torch.zerosLike(parameter),
      exp_avg_sq: () => torch.zerosLike(parameter),
    }));
  }
}
