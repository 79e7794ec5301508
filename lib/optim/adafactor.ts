import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import { flag, notNegative, type Rule } from '../torch/rules.js';
import type { ParameterGroups } from './groups.js';
import { ListOptimizer, type ListOptions, type Lists } from './list-optimizer.js';
import type { UpdateLists } from './optimizer.js';
import { OptimizerError, type StateNames } from './state.js';

/** What `Adafactor` takes by name. */
export interface AdafactorOptions extends ListOptions {
  /** The variance's average moves by step^beta2Decay. */
  beta2Decay: number;
  /** What roots are at least (null: the dtype's smallest step from 1 on), and the least scale of a parameter. */
  eps: [least: number | null, scale: number];
  /** The root mean square that an update is clipped to. */
  d: number;
}

const isNotNegative = (value: unknown) => notNegative.holds(value);
const eps: Rule = {
  expected: 'two numbers that are not negative, or null for the first',
  holds: (value) =>
    Array.isArray(value) &&
    value.length === 2 &&
    (value[0] === null || isNotNegative(value[0])) &&
    isNotNegative(value[1]),
};
const number = (expected: string, holds: (value: number) => boolean): Rule => ({
  expected,
  holds: (value) => Number.isFinite(value) && holds(value as number),
});
const rules = {
  lr: notNegative,
  beta2Decay: number('a number that is not positive', (value) => value <= 0),
  eps,
  d: number('a number from 1 on', (value) => value >= 1),
  weightDecay: notNegative,
  maximize: flag,
};

const STEP_FROM_ONE: Record<string, number> = {
  float64: 2 ** -52,
  float32: 2 ** -23,
  float16: 2 ** -10,
  bfloat16: 2 ** -7,
};

/**
 * Adafactor (Shazeer and Stern, 2018), whose state of a matrix is one of its rows and one of its columns;
 * numbers and defaults as PyTorch's Adafactor. The decay is of the parameters, by lr · weightDecay.
 */
export class Adafactor extends ListOptimizer<AdafactorOptions> {
  constructor(groups: ParameterGroups<AdafactorOptions>, options: Partial<AdafactorOptions> = {}) {
    const defaults: AdafactorOptions = {
      lr: 1e-2,
      beta2Decay: -0.8,
      eps: [null, 1e-3],
      d: 1,
      weightDecay: 0,
      maximize: false,
    };
    super(groups, options, defaults, rules);
    for (const { params } of this.groups) {
      const complex = params.find((parameter) => parameter.isComplex());
      if (complex) throw new OptimizerError(`Adafactor: found ${complex.dtype}, expected a float`);
    }
  }

  protected override stateNames(_options: AdafactorOptions, { shape }: Tensor): StateNames {
    if (shape.length < 2) return { step: 'scalar', variance: 'like the parameter' };
    const rows = [...shape.slice(0, -1), 1];
    const columns = [...shape.slice(0, -2), 1, shape.at(-1)!];
    return { step: 'scalar', row_var: rows, col_var: columns };
  }

  protected override decayOf(): number {
    return 0;
  }

  /** Matrices and vectors by themselves: their states differ. */
  protected override update(options: AdafactorOptions, { params, grads }: UpdateLists): void {
    for (const factored of [true, false]) {
      const chosen = (list: Tensor[]) => list.filter((_, i) => params[i]!.ndim > 1 === factored);
      if (chosen(params).length === 0) continue;
      super.update(options, { params: chosen(params), grads: chosen(grads), averages: [] });
    }
  }

  protected override move(options: AdafactorOptions, { params, grads, steps, state }: Lists): void {
    const { lr, beta2Decay, d, weightDecay } = options;
    for (const [i, parameter] of params.entries()) {
      const least = options.eps[0] ?? STEP_FROM_ONE[parameter.dtype]!;
      const gradient = grads[i]!;
      const step = steps[i]!;
      const scale = Math.max(options.eps[1], rootMeanSquare(parameter));
      const rate = scale * Math.min(lr, 1 / Math.sqrt(step));
      if (weightDecay !== 0) parameter.mul_(1 - lr * weightDecay);
      const share = step ** beta2Decay;
      const variance =
        parameter.ndim > 1
          ? factoredVariance(gradient, state('row_var')[i]!, state('col_var')[i]!, share, least)
          : state('variance')[i]!.lerp_(gradient.mul(gradient), share);
      const update = variance
        .clampMin(least * least)
        .rsqrt_()
        .mul_(gradient);
      parameter.add_(update, { alpha: -rate / Math.max(1, rootMeanSquare(update) / d) });
    }
  }
}

function rootMeanSquare(x: Tensor): number {
  return torch.linalg.vectorNorm(x).item() / Math.sqrt(x.numel());
}

/** Moves the means of the squares of rows and columns, and multiplies them out. */
function factoredVariance(
  gradient: Tensor,
  rows: Tensor,
  columns: Tensor,
  share: number,
  least: number,
): Tensor {
  const mean = (dim: number) =>
    torch.linalg.vectorNorm(gradient, 2, [dim], true).square_().div_(gradient.size(dim));
  rows.lerp_(mean(-1), share);
  columns.lerp_(mean(-2), share);
  return rows.matmul(columns).div_(rows.mean([-2], true).clampMin_(least));
}
