import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import { withDefaults } from '../torch/require.js';
import { finite, flag, notNegative } from '../torch/rules.js';
import type { ParameterGroups } from './groups.js';
import { Optimizer, type UpdateLists } from './optimizer.js';
import { checkRules } from './rules.js';
import { OptimizerError, type StateNames } from './state.js';

/** What `SGD` takes by name. */
export interface SGDOptions {
  lr: number;
  momentum: number;
  dampening: number;
  /** Added to the gradient (L2), not decoupled. */
  weightDecay: number;
  nesterov: boolean;
  /** Ascends the gradient. */
  maximize: boolean;
}

const rules = {
  lr: notNegative,
  momentum: notNegative,
  dampening: finite,
  weightDecay: notNegative,
  nesterov: flag,
  maximize: flag,
};

/** Stochastic gradient descent with momentum; numbers as PyTorch's SGD. */
export class SGD extends Optimizer<SGDOptions> {
  constructor(groups: ParameterGroups<SGDOptions>, options: Partial<SGDOptions> = {}) {
    const defaults: SGDOptions = {
      lr: 1e-3,
      momentum: 0,
      dampening: 0,
      weightDecay: 0,
      nesterov: false,
      maximize: false,
    };
    super(groups, withDefaults('SGD', defaults, options));
    for (const group of this.groups) this.checkOptions(group);
  }

  protected override readonly laterOptions = { maximize: false };

  protected override checkOptions(options: SGDOptions): void {
    checkRules<SGDOptions>('SGD', options, rules);
    const { momentum, dampening, nesterov } = options;
    if (nesterov && (momentum === 0 || dampening !== 0)) {
      throw new OptimizerError('SGD: nesterov needs a momentum and no dampening.');
    }
  }

  protected override stateNames(): StateNames {
    return { momentum_buffer: 'like the parameter' };
  }

  protected override update(
    options: SGDOptions,
    { params, grads }: UpdateLists,
    _factor: number,
    numbers?: Tensor,
  ): void {
    // A learning rate on the device is float32 to the fused operator.
    const lr = numbers?.select(0, 0).to('float32') ?? options.lr;
    if (options.momentum === 0) {
      this.#fused(options, lr, params, grads, false);
      return;
    }
    // The first step of a parameter sets its momentum to the gradient, without dampening.
    const started = params.map((parameter) => this.hasState(parameter));
    for (const first of [true, false]) {
      const chosen = (list: Tensor[]) => list.filter((_, i) => started[i] !== first);
      this.#fused(options, lr, chosen(params), chosen(grads), first);
    }
  }

  protected override readonly numbersPerList = 1;

  protected override numbersOf({ lr }: SGDOptions): number[] {
    return [lr];
  }

  #fused(
    options: SGDOptions,
    lr: number | Tensor,
    params: Tensor[],
    grads: Tensor[],
    isFirstStep: boolean,
  ): void {
    if (params.length === 0) return;
    const buffers =
      options.momentum === 0 ? [] : params.map((parameter) => this.#momentum(parameter));
    torch._fusedSgd_(params, grads, buffers, {
      // One operator takes either.
      lr: lr as number,
      weightDecay: options.weightDecay,
      momentum: options.momentum,
      dampening: options.dampening,
      nesterov: options.nesterov,
      maximize: options.maximize,
      isFirstStep,
    });
  }

  #momentum(parameter: Tensor): Tensor {
    const make = () => ({ momentum_buffer: () => torch.zerosLike(parameter) });
    return this.stateOf(parameter, make).momentum_buffer!;
  }
}
