import * as torch from '../torch/index.js';
import { layoutOf } from '../torch/layout.js';
import { betas, flag, notNegative } from '../torch/rules.js';
import type { ParameterGroups } from './groups.js';
import { type AscentOptions, ListOptimizer, type Lists } from './list-optimizer.js';
import { OptimizerError, type StateNames } from './state.js';

/** What `SparseAdam` takes by name. */
export interface SparseAdamOptions extends AscentOptions {
  /** Factors of the moving averages of the gradient and of its square. */
  betas: [number, number];
  /** Added to the denominator. */
  eps: number;
}

const rules = { lr: notNegative, betas, eps: notNegative, maximize: flag };

/**
 * Adam for sparse gradients (`Embedding` with `sparse`): only rows that have one move, and their averages;
 * numbers and defaults as PyTorch's SparseAdam.
 * @throws {OptimizerError} by `step` for a gradient that is not sparse
 */
export class SparseAdam extends ListOptimizer<SparseAdamOptions> {
  constructor(
    groups: ParameterGroups<SparseAdamOptions>,
    options: Partial<SparseAdamOptions> = {},
  ) {
    const defaults: SparseAdamOptions = {
      lr: 1e-3,
      betas: [0.9, 0.999],
      eps: 1e-8,
      maximize: false,
    };
    super(groups, options, defaults, rules);
  }

  protected override stateNames(): StateNames {
    return { step: 'scalar', exp_avg: 'like the parameter', exp_avg_sq: 'like the parameter' };
  }

  override step(): void {
    for (const { params } of this.groups) {
      for (const { grad } of params) {
        if (grad === null || layoutOf(grad) === 'sparse') continue;
        throw new OptimizerError(
          `SparseAdam: found a gradient of shape [${grad.shape}] that is not sparse, expected sparse ones: Adam takes others`,
        );
      }
    }
    super.step();
  }

  protected override move(
    options: SparseAdamOptions,
    { params, grads, steps, state }: Lists,
  ): void {
    const { lr, eps } = options;
    const [beta1, beta2] = options.betas;
    const [means, squares] = [state('exp_avg'), state('exp_avg_sq')];
    for (const [i, parameter] of params.entries()) {
      // Each row once: the update is not linear.
      const gradient = grads[i]!.coalesce();
      const indices = gradient.indices();
      const values = gradient.values();
      if (values.numel() === 0) continue;
      const sparse = (rows: torch.Tensor) => torch.sparseCooTensor(indices, rows, gradient.shape);
      const moved = (average: torch.Tensor, to: torch.Tensor, beta: number) => {
        const before = average.sparseMask(gradient).values();
        const change = to.sub(before).mul_(1 - beta);
        average.add_(sparse(change));
        return change.add(before);
      };
      const mean = moved(means[i]!, values, beta1);
      const square = moved(squares[i]!, values.square(), beta2);
      const step = steps[i]!;
      const rate = (lr * Math.sqrt(1 - beta2 ** step)) / (1 - beta1 ** step);
      parameter.add_(sparse(mean.div_(square.sqrt_().add_(eps)).mul_(-rate)));
    }
  }
}
