import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import { requireObject, withDefaults } from '../torch/require.js';
import type { Rules } from '../torch/rules.js';
import * as foreach from './foreach.js';
import type { ParameterGroups } from './groups.js';
import { Optimizer, type UpdateLists } from './optimizer.js';
import { checkRules } from './rules.js';

/** The options that all optimizers over lists have. */
export interface AscentOptions {
  /** The learning rate. */
  lr: number;
  /** Ascends the gradient. */
  maximize: boolean;
}

/** Those of most. */
export interface ListOptions extends AscentOptions {
  /** Times the parameter, added to its gradient (L2). */
  weightDecay: number;
}

/** What one update works on: lists that run in parallel, an entry for each parameter. */
export interface Lists {
  /** Written in place. */
  params: Tensor[];
  /** The direction to go against: gradients, negated where one ascends, and decay added. */
  grads: Tensor[];
  /** How many steps each parameter has taken, this one included. */
  steps: number[];
  /** A state of every parameter by its name. */
  state(name: string): Tensor[];
}

/**
 * An optimizer written once over lists of tensors of one dtype and device. Its state is a `step` that
 * the host counts and what it names besides. No static update.
 */
export abstract class ListOptimizer<Options extends AscentOptions> extends Optimizer<Options> {
  protected override readonly hostState: readonly string[] = ['step'];
  readonly #rules: Rules<Options>;

  constructor(
    groups: ParameterGroups<Options>,
    given: Partial<Options>,
    defaults: Options,
    rules: Rules<Options>,
  ) {
    super(groups, withDefaults(new.target.name, defaults, given));
    requireObject(rules, new.target.name, 'rules for its options');
    this.#rules = rules;
    for (const group of this.groups) this.checkOptions(group);
  }

  /** Moves the parameters and their state by one step. */
  protected abstract move(options: Options, lists: Lists): void;

  protected override checkOptions(options: Options): void {
    checkRules<Options>(this.constructor.name, options, this.#rules);
  }

  /** What the decay adds to the gradient; an optimizer that decouples its decay has none here. */
  protected decayOf({ weightDecay = 0 }: Options & Partial<ListOptions>): number {
    return weightDecay;
  }

  /** What a state that is not zero starts from. */
  protected startOf(_name: string, _options: Options): number {
    return 0;
  }

  protected override update(options: Options, { params, grads }: UpdateLists): void {
    const states = params.map((parameter) => this.#stateOf(parameter, options));
    const state = (name: string) => asReal(states.map((own) => own[name]!));
    const steps = state('step');
    foreach.add_(steps, 1);
    const moved = asReal(params);
    this.move(options, {
      params: moved,
      grads: this.#directions(options, moved, asReal(grads)),
      steps: steps.map((step) => step.item() as number),
      state,
    });
  }

  #stateOf(parameter: Tensor, options: Options): Record<string, Tensor> {
    const { dtype, device } = parameter;
    const makers = Object.entries(this.stateNames(options, parameter)).map(([name, shape]) => {
      const start = this.startOf(name, options);
      const make = () => {
        if (shape === 'scalar') return torch.full([], start);
        if (shape === 'like the parameter') return torch.fullLike(parameter, start);
        return torch.full(shape, start, { dtype, device });
      };
      return [name, make] as const;
    });
    return this.stateOf(parameter, () => Object.fromEntries(makers));
  }

  #directions(options: Options, params: Tensor[], grads: Tensor[]): Tensor[] {
    const signed = options.maximize ? foreach.neg(grads) : grads;
    const decay = this.decayOf(options);
    return decay === 0 ? signed : foreach.add(signed, params, { alpha: decay });
  }
}

/** Complex tensors as pairs of real numbers, in the same memory. */
function asReal(list: Tensor[]): Tensor[] {
  return list.map((tensor) => (tensor.isComplex() ? torch.viewAsReal(tensor) : tensor));
}
