import * as torch from '../torch/index.js';
import { withDefaults } from '../torch/require.js';
import { betas, flag, notNegative } from '../torch/rules.js';
import * as foreach from './foreach.js';
import type { ParameterGroups } from './groups.js';
import { momentStates, moveAdam } from './moments.js';
import { type MovingAverage, Optimizer, type StaticUpdate, type UpdateLists } from './optimizer.js';
import { checkRules } from './rules.js';
import { OptimizerError, type StateNames } from './state.js';

/** What `AdamW` takes by name. */
export interface AdamWOptions {
  lr: number;
  betas: [number, number];
  eps: number;
  weightDecay: number;
  /** Divides by the largest average of the square so far (Reddi et al., 2018); it has no static update. */
  amsgrad: boolean;
  /** Ascends the gradient. */
  maximize: boolean;
}

const rules = {
  lr: notNegative,
  betas,
  eps: notNegative,
  weightDecay: notNegative,
  amsgrad: flag,
  maximize: flag,
};

/** Adam with decoupled weight decay (Loshchilov and Hutter, 2019); numbers as PyTorch's AdamW. */
export class AdamW extends Optimizer<AdamWOptions> {
  constructor(groups: ParameterGroups<AdamWOptions>, options: Partial<AdamWOptions> = {}) {
    const defaults: AdamWOptions = {
      lr: 1e-3,
      betas: [0.9, 0.999],
      eps: 1e-8,
      weightDecay: 1e-2,
      amsgrad: false,
      maximize: false,
    };
    super(groups, withDefaults('AdamW', defaults, options));
    for (const group of this.groups) this.checkOptions(group);
  }

  protected override checkOptions(options: AdamWOptions): void {
    checkRules<AdamWOptions>('AdamW', options, rules);
  }

  protected override stateNames({ amsgrad }: AdamWOptions): StateNames {
    return { ...momentStates, ...(amsgrad && { max_exp_avg_sq: 'like the parameter' }) };
  }

  protected override readonly laterOptions = { amsgrad: false, maximize: false };
  protected override readonly hostState = ['step'];
  protected override readonly movesAverages = true;

  protected override update(
    options: AdamWOptions,
    { params, grads: given, averages }: UpdateLists,
    factor: number,
    numbers?: torch.Tensor,
  ): void {
    const states = params.map((parameter) => this.#stateOf(parameter, options));
    const of = (name: string) => states.map((state) => state[name]!);
    const grads = options.maximize ? foreach.neg(given) : given;
    if (options.amsgrad) {
      foreach.add_(of('step'), 1);
      const steps = of('step').map((step) => step.item());
      moveAdam({ ...options, decoupledWeightDecay: true }, { params, grads, steps, state: of });
      if (averages.length > 0) foreach.lerp_(averages, params, 1 - factor);
      return;
    }
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

  override staticUpdate(options: { average?: MovingAverage | undefined } = {}): StaticUpdate {
    if (!this.groups.some(({ amsgrad }) => amsgrad)) return super.staticUpdate(options);
    throw new OptimizerError(
      'AdamW: found amsgrad for a static update (a CUDA graph), expected amsgrad: false. Call step() at every iteration instead.',
    );
  }

  protected override readonly numbersPerList = 4;

  protected override numbersOf(
    options: AdamWOptions,
    params: readonly torch.Tensor[],
    factor: number,
  ): number[] {
    const { lr, betas } = options;
    const steps = params.map((parameter) => this.#stateOf(parameter, options).step!);
    torch._foreachAdd_(steps, 1);
    const step = steps[0]!.item();
    return [lr, 1 - betas[0] ** step, 1 - betas[1] ** step, factor];
  }

  protected override stepsOf(parameter: torch.Tensor): number {
    return this.hasState(parameter) ? this.stateOf(parameter, () => ({})).step!.item() : 0;
  }

  #stateOf(parameter: torch.Tensor, { amsgrad }: AdamWOptions): Record<string, torch.Tensor> {
    return this.stateOf(parameter, () => ({
      step: () => torch.zeros([]),
      exp_avg: () => torch.zerosLike(parameter),
      exp_avg_sq: () => torch.zerosLike(parameter),
      ...(amsgrad && { max_exp_avg_sq: () => torch.zerosLike(parameter) }),
    }));
  }
}
