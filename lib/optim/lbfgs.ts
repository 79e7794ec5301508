import { describe } from '../torch/errors.js';
import * as torch from '../torch/index.js';
import { requireFunction, withDefaults } from '../torch/require.js';
import { count, notNegative, oneOf } from '../torch/rules.js';
import { asGroups, checkParameter } from './groups.js';
import { type Memory, memoryOf, stateOf } from './lbfgs-memory.js';
import { checkRules } from './rules.js';
import type { ScheduledGroup } from './schedules/schedule.js';
import { OptimizerError, type OptimizerState } from './state.js';
import { type Place, strongWolfe } from './strong-wolfe.js';

/** What `LBFGS` takes by name. */
export interface LBFGSOptions {
  lr: number;
  /** Iterations of one step. */
  maxIter: number;
  /** Evaluations of the closure in one step; 1.25 · maxIter without. */
  maxEval: number;
  /** Ends a step where no element of the gradient is larger. */
  toleranceGrad: number;
  /** Ends a step where neither parameters nor loss change by more. */
  toleranceChange: number;
  /** How many updates are remembered. */
  historySize: number;
  /** `strongWolfe` looks for a good length of each iteration; `none` takes `lr`. */
  lineSearch: 'none' | 'strongWolfe';
}

const rules = {
  lr: notNegative,
  maxIter: count,
  maxEval: count,
  toleranceGrad: notNegative,
  toleranceChange: notNegative,
  historySize: count,
  lineSearch: oneOf('none', 'strongWolfe'),
};

/**
 * L-BFGS (Liu and Nocedal, 1989) for one group of parameters of one dtype and device, floating; numbers
 * and defaults as PyTorch's. A step evaluates the loss several times, and so takes it as a function.
 */
export class LBFGS {
  readonly groups: readonly (ScheduledGroup & LBFGSOptions & { params: readonly torch.Tensor[] })[];
  #memory: Memory | null = null;

  /** @throws {OptimizerError} */
  constructor(params: Iterable<torch.Tensor>, options: Partial<LBFGSOptions> = {}) {
    const defaults: LBFGSOptions = {
      lr: 1,
      maxIter: 20,
      maxEval: Math.floor(((options?.maxIter ?? 20) * 5) / 4),
      toleranceGrad: 1e-7,
      toleranceChange: 1e-9,
      historySize: 100,
      lineSearch: 'none',
    };
    const own = withDefaults('LBFGS', defaults, options);
    checkRules<LBFGSOptions>('LBFGS', own, rules);
    const given = asGroups<LBFGSOptions>(params);
    if (given.length !== 1 || given[0]!.params.length === 0) {
      throw new OptimizerError(
        `LBFGS: found ${given.length} groups of parameters, expected one that is not empty`,
      );
    }
    for (const tensor of given[0]!.params) checkParameter(tensor);
    const kinds = new Set(given[0]!.params.map(({ dtype, device }) => `${dtype} on ${device}`));
    if (kinds.size > 1) {
      throw new OptimizerError(`LBFGS: found ${[...kinds].join(' and ')}, expected one kind`);
    }
    this.groups = [{ ...own, initialLr: own.lr, params: given[0]!.params }];
  }

  /**
   * Minimises for `maxIter` iterations at most.
   * @param closure zeroes the gradients, computes the loss, calls backward and returns the loss
   * @returns the loss before
   */
  step(closure: () => torch.Tensor): number {
    requireFunction(closure, 'LBFGS.step');
    return torch.scope(() => torch.noGrad(() => this.#step(closure)));
  }

  zeroGrad(): void {
    for (const tensor of this.#params) tensor.grad = null;
  }

  /** Live tensors of what is remembered (not copies), and the options. */
  stateDict(): OptimizerState {
    return stateOf(this.#memory, { ...this.groups[0]! });
  }

  /**
   * Takes over a state: copies of its tensors, and the options.
   * @throws {OptimizerError} when it comes from another algorithm or from other parameters; nothing of it is
   *   taken then
   */
  loadStateDict(state: OptimizerState): void {
    const { memory, options } = memoryOf(state, { ...this.groups[0]! }, (given) =>
      checkRules('LBFGS', given as unknown as LBFGSOptions, rules),
    );
    this.dispose();
    this.#memory = memory;
    Object.assign(this.groups[0]!, options);
  }

  /** Releases what is remembered; the parameters are the module's. */
  dispose(): void {
    if (this.#memory !== null) {
      const { direction, gradient, moves, changes } = this.#memory;
      torch.dispose([direction, gradient, moves, changes]);
    }
    this.#memory = null;
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  get #params(): readonly torch.Tensor[] {
    return this.groups[0]!.params;
  }

  #step(closure: () => torch.Tensor): number {
    const { lr, maxIter, maxEval, toleranceGrad, toleranceChange, lineSearch } = this.groups[0]!;
    const first = evaluated(closure);
    let loss = first;
    let gradient = this.#gradient();
    let evaluations = 1;
    if (largest(gradient) <= toleranceGrad) return first;

    for (let n = 1; n <= maxIter; n++) {
      const isFirst = this.#memory === null;
      const memory = this.#directed(gradient);
      const { direction } = memory;
      const slope = gradient.dot(direction).item();
      const length = isFirst ? Math.min(1, 1 / gradient.abs().sum().item()) * lr : lr;
      const previousLoss = loss;
      torch.dispose(memory.gradient);
      memory.gradient = torch.detached(() => gradient.clone());
      memory.length = length;
      if (slope > -toleranceChange) break;

      if (lineSearch === 'strongWolfe') {
        const start = this.#params.map((tensor) => tensor.clone());
        const evaluate = (at: number): Place => {
          this.#move(at, direction);
          const there = evaluated(closure);
          const found = this.#gradient();
          for (const [i, tensor] of this.#params.entries()) tensor.copy_(start[i]!);
          return { at, loss: there, gradient: found, slope: found.dot(direction).item() };
        };
        const { place, evaluations: spent } = strongWolfe({
          evaluate,
          start: { at: 0, loss, gradient, slope },
          step: length,
          reach: largest(direction),
        });
        this.#move(place.at, direction);
        ({ loss, gradient } = place);
        memory.length = place.at;
        evaluations += spent;
      } else {
        this.#move(length, direction);
        if (n !== maxIter) {
          loss = evaluated(closure);
          gradient = this.#gradient();
          evaluations += 1;
        }
      }
      if (n === maxIter || evaluations >= maxEval || largest(gradient) <= toleranceGrad) break;
      if (largest(direction) * memory.length <= toleranceChange) break;
      if (Math.abs(loss - previousLoss) < toleranceChange) break;
    }
    return first;
  }

  /** The next direction, from what is remembered and the gradient now. */
  #directed(gradient: torch.Tensor): Memory {
    const memory = this.#memory;
    if (memory === null) {
      this.#memory = torch.detached(() => ({
        direction: gradient.neg(),
        gradient: gradient.clone(),
        length: 0,
        scale: 1,
        moves: [],
        changes: [],
      }));
      return this.#memory;
    }
    const { moves, changes } = memory;
    const change = gradient.sub(memory.gradient);
    const move = memory.direction.mul(memory.length);
    const curvature = change.dot(move).item();
    if (curvature > 1e-10) {
      if (moves.length === this.groups[0]!.historySize) {
        torch.dispose([moves.shift(), changes.shift()]);
      }
      torch.detached(() => {
        moves.push(move.clone());
        changes.push(change.clone());
      });
      memory.scale = curvature / change.dot(change).item();
    }
    const inverse = changes.map((each, i) => 1 / each.dot(moves[i]!).item());
    const along: number[] = [];
    let q = gradient.neg();
    for (let i = moves.length - 1; i >= 0; i--) {
      along[i] = moves[i]!.dot(q).item() * inverse[i]!;
      q = q.add(changes[i]!, { alpha: -along[i]! });
    }
    let r = q.mul(memory.scale);
    for (const [i, each] of changes.entries()) {
      r = r.add(moves[i]!, { alpha: along[i]! - each.dot(r).item() * inverse[i]! });
    }
    torch.dispose(memory.direction);
    memory.direction = torch.detached(() => r.clone());
    return memory;
  }

  #move(length: number, direction: torch.Tensor): void {
    let at = 0;
    for (const tensor of this.#params) {
      const count = tensor.numel();
      const part = direction.narrow(0, at, count).reshape(tensor.shape);
      tensor.add_(part, { alpha: length });
      at += count;
    }
  }

  #gradient(): torch.Tensor {
    return torch.cat(
      this.#params.map((tensor) => (tensor.grad ?? tensor.zerosLike()).reshape([-1])),
    );
  }
}

function evaluated(closure: () => torch.Tensor): number {
  return torch.scope(() => {
    const loss = torch.enableGrad(closure);
    if (loss instanceof torch.Tensor) return loss.item();
    throw new OptimizerError(
      `LBFGS.step: the closure returned ${describe(loss)}, expected the loss, after backward()`,
    );
  });
}

function largest(x: torch.Tensor): number {
  return x.abs().max().item();
}
