import { persistent } from '../nn/index.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import { withDefaults } from '../torch/require.js';
import { describeOptimizer } from './describe-optimizer.js';
import { asGroups, checkParameter, type Group, type ParameterGroups } from './groups.js';
import {
  checkState,
  OptimizerError,
  type OptimizerState,
  requireState,
  type StateNames,
  withOptions,
} from './state.js';

/**
 * The moving average of parameters: average ← factor · average + (1 − factor) · parameter. An
 * optimizer that can writes it in the pass that updates the parameter; one that cannot never asks.
 */
export interface MovingAverage {
  readonly factor: number;
  /** The average of a parameter that is about to be updated, which then counts as moved; or null. */
  take(parameter: Tensor): Tensor | null;
}

/** Parameters of one dtype and device with their gradients, and all or none with averages. */
export interface UpdateLists {
  params: Tensor[];
  grads: Tensor[];
  averages: Tensor[];
}

/**
 * The updates of an optimizer from now on, as a function of tensors that stay where they are: for
 * steps whose work is recorded once and then replayed (a CUDA graph). The numbers of a step come
 * from `next` on the host and reach `apply` in a tensor.
 */
export interface StaticUpdate {
  /** How many numbers a step takes. */
  readonly size: number;
  /** Counts a step; its learning rates, bias corrections and average's factor. */
  next(factor: number): number[];
  /**
   * As `step`, from the gradients at hand.
   * @param numbers float64 [size] on the parameters' device
   */
  apply(numbers: Tensor): void;
}

/** Parameters that share their options and the numbers of their steps. */
interface StaticList<Options> {
  group: Options;
  params: Tensor[];
  averages: Tensor[];
}

/**
 * What optimizers share: groups, per-parameter state that lives outside every scope, state dicts.
 * A parameter without gradient is left alone, its state too, as in PyTorch.
 */
export abstract class Optimizer<Options extends { lr: number }> {
  readonly groups: Group<Options>[];
  readonly #state = new Map<Tensor, Record<string, Tensor>>();

  constructor(groups: ParameterGroups<Options>, defaults: Options) {
    const seen = new Set<Tensor>();
    this.groups = asGroups(groups).map((group) => {
      const { params, name, ...options } = group;
      const own = withDefaults('a group of parameters', defaults, options);
      const whole = { ...own, params, ...(name !== undefined && { name }), initialLr: own.lr };
      for (const tensor of params) {
        checkParameter(tensor);
        if (seen.has(tensor)) throw new OptimizerError('A parameter is given twice.');
        seen.add(tensor);
      }
      return whole;
    });
    if (seen.size === 0) throw new OptimizerError('No parameters given to the optimizer.');
  }

  /** The tensors that a parameter of a group with these options has as state once it has any. */
  protected abstract stateNames(options: Options, parameter: Tensor): StateNames;

  /** @throws {OptimizerError} for options that the algorithm cannot work with */
  protected abstract checkOptions(options: Options): void;

  /** Options that states of before they were there lack, with what they mean where they are absent. */
  protected readonly laterOptions: object = {};

  /** Names of the state that stays on the CPU, as the host reads it at every step. */
  protected readonly hostState: readonly string[] = [];
  /** Whether `update` moves the averages of its lists. */
  protected readonly movesAverages: boolean = false;

  /**
   * Updates the parameters, and with `movesAverages` writes their averages by `factor`.
   * @param numbers what `numbersOf` gave for this step, float64 on the parameters' device: takes the
   *   place of the options and of the factor that are among them, and of counting the step
   */
  protected abstract update(
    options: Options,
    lists: UpdateLists,
    factor: number,
    numbers?: Tensor,
  ): void;

  /** How many numbers `numbersOf` gives. */
  protected readonly numbersPerList: number = 0;

  /**
   * Counts a step of parameters that have taken equally many, and gives what it differs in. An
   * algorithm that leaves it out has no static update.
   */
  protected numbersOf?(options: Options, params: readonly Tensor[], factor: number): number[];

  /** How many steps a parameter has taken, where its update depends on that. */
  protected stepsOf(_parameter: Tensor): number {
    return 0;
  }

  /** The state tensors of a parameter, made on first use. */
  protected stateOf(parameter: Tensor, make: () => Record<string, () => Tensor>) {
    const state = this.#state.get(parameter) ?? {};
    for (const [name, tensor] of Object.entries(make())) state[name] ??= persistent(tensor);
    this.#state.set(parameter, state);
    return state;
  }

  protected hasState(parameter: Tensor): boolean {
    return this.#state.has(parameter);
  }

  /**
   * One update from the gradients at hand.
   * @param options `average`: moved along with the parameters that have a gradient, where the
   *   algorithm can; whoever keeps it moves what was not taken
   */
  step({ average }: { average?: MovingAverage | undefined } = {}): void {
    const moved = this.movesAverages ? average : undefined;
    torch.scope(() =>
      torch.noGrad(() => {
        for (const group of this.groups) {
          for (const lists of byKind(group.params, moved)) {
            this.update(group, lists, moved?.factor ?? 0);
          }
        }
      }),
    );
  }

  /**
   * The updates from now on for replaying, of the parameters that have a gradient at present; each
   * must have one at every step. The state must not be loaded anew meanwhile.
   * @param options as those of `step`
   * @throws {OptimizerError} where the algorithm has none: its steps cannot be replayed
   */
  staticUpdate({ average }: { average?: MovingAverage | undefined } = {}): StaticUpdate {
    const numbersOf = this.numbersOf?.bind(this);
    if (!numbersOf) {
      throw new OptimizerError(
        `found ${this.constructor.name} for a static update (a CUDA graph), expected an optimizer ` +
          'that has one: AdamW or SGD. Call step() at every iteration instead.',
      );
    }
    const moved = this.movesAverages ? average : undefined;
    const lists = this.groups.flatMap((group) => this.#staticLists(group, moved));
    const each = this.numbersPerList;
    return {
      size: each * lists.length,
      next: (factor) =>
        torch.noGrad(() => lists.flatMap(({ group, params }) => numbersOf(group, params, factor))),
      apply: (numbers) =>
        torch.scope(() =>
          torch.noGrad(() => {
            for (const [i, { group, params, averages }] of lists.entries()) {
              const grads = params.map((parameter) => parameter.grad!);
              const mine = numbers.narrow(0, each * i, each);
              this.update(group, { params, grads, averages }, 0, mine);
            }
          }),
        ),
    };
  }

  #staticLists(
    group: Group<Options>,
    moved: MovingAverage | undefined,
  ): StaticList<Group<Options>>[] {
    const counts = new Set(group.params.map((parameter) => this.stepsOf(parameter)));
    return [...counts].flatMap((count) => {
      const alike = group.params.filter((parameter) => this.stepsOf(parameter) === count);
      const lists = torch.scope(() => byKind(alike, moved));
      return lists.map(({ params, averages }) => ({ group, params, averages }));
    });
  }

  /** What `console.log` shows: the groups with their learning rates and other options. */
  toString(): string {
    return describeOptimizer(this.constructor.name, this.groups);
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString();
  }

  zeroGrad(): void {
    for (const { params } of this.groups) for (const tensor of params) tensor.grad = null;
  }

  /** Live state tensors (not copies) and the options of every group. */
  stateDict(): OptimizerState {
    const tensors: Record<string, Tensor> = {};
    for (const [index, parameter] of this.#parameters().entries()) {
      for (const [name, tensor] of Object.entries(this.#state.get(parameter) ?? {})) {
        tensors[`${index}.${name}`] = tensor;
      }
    }
    const groups = this.groups.map(({ params, ...options }) => ({
      ...options,
      parameters: params.length,
    }));
    return { tensors, meta: { algorithm: this.constructor.name, groups } };
  }

  /**
   * Takes over a state: copies of its tensors, and the options of its groups.
   * @throws {OptimizerError} when it comes from another algorithm, other groups or other shapes, or
   *   is no state at all; nothing of it is taken then
   */
  loadStateDict(state: OptimizerState): void {
    requireState(state);
    const { groups, tensors } = checkState(withOptions(state, this.laterOptions), {
      algorithm: this.constructor.name,
      groups: this.groups,
      namesFor: (options, parameter) => {
        this.checkOptions(options as unknown as Options);
        return this.stateNames(options as unknown as Options, parameter);
      },
    });
    this.#release();
    for (const { parameter, name, tensor } of tensors) {
      const own = this.#state.get(parameter) ?? {};
      const device = this.hostState.includes(name) ? 'cpu' : parameter.device;
      own[name] = persistent(() => tensor.detach().to({ device, copy: true }));
      this.#state.set(parameter, own);
    }
    for (const [index, options] of groups.entries()) Object.assign(this.groups[index]!, options);
  }

  /** Releases the state; the parameters are the module's. */
  dispose(): void {
    this.#release();
  }

  [Symbol.dispose](): void {
    this.#release();
  }

  #parameters(): Tensor[] {
    return this.groups.flatMap(({ params }) => [...params]);
  }

  #release(): void {
    for (const state of this.#state.values()) {
      for (const tensor of Object.values(state)) tensor.dispose();
    }
    this.#state.clear();
  }
}

/** Parameters that have a gradient, in lists of one dtype and device as the fused kernels want. */
export function byKind(
  params: readonly Tensor[],
  average: MovingAverage | undefined,
): UpdateLists[] {
  const lists = new Map<string, UpdateLists>();
  for (const parameter of params) {
    const { grad } = parameter;
    if (!grad) continue;
    const mean = average?.take(parameter) ?? null;
    const kind = `${parameter.device} ${parameter.dtype} ${mean !== null}`;
    const list = lists.get(kind) ?? { params: [], grads: [], averages: [] };
    list.params.push(parameter);
    list.grads.push(grad);
    if (mean) list.averages.push(mean);
    lists.set(kind, list);
  }
  return [...lists.values()];
}
