/** Parametrizations that are known by name. */
import { ArgumentError, describe } from '../../torch/errors.js';
import type { Tensor } from '../../torch/index.js';
import * as torch from '../../torch/index.js';
import { withDefaults } from '../../torch/require.js';
import { requireCounts, requireNumbers } from '../check.js';
import { ConvTranspose1d, ConvTranspose2d, ConvTranspose3d } from '../conv.js';
import { normalize } from '../functional/normalization.js';
import type { Given } from '../layer.js';
import { Module, stateName } from '../module.js';
import { buffer } from '../parameter.js';
import { stateAt } from './computed.js';
import { orthogonal } from './orthogonal.js';
import { isParametrized, registerParametrization } from './parametrize.js';

export { orthogonal };

/** A length for each slice along `dim` (all at once: −1), and directions. */
class WeightNorm extends Module {
  constructor(readonly dim: number) {
    super();
  }

  override forward(length: Tensor, direction: Tensor): Tensor {
    return torch.ops.aten!._weight_norm!(direction, length, this.dim) as Tensor;
  }

  rightInverse(weight: Tensor): Tensor[] {
    return [torch.normExceptDim(weight, 2, this.dim), weight];
  }

  protected override details(): string {
    return String(this.dim);
  }
}

/**
 * Splits a weight into lengths (`original0`) and directions (`original1`) that are trained separately
 * (Salimans and Kingma, 2016). State dicts of PyTorch's older form, with `NAME_g` and `NAME_v`, load too.
 *
 * @param dim along which there is a length each; null: one for all
 * @returns the module
 */
export function weightNorm<M extends Module>(
  module: M,
  name = 'weight',
  dim: number | null = 0,
): M {
  const weight = tensorOf('weightNorm', module, name);
  if (dim !== null) requireDim('weightNorm', dim, weight.ndim);
  registerParametrization(module, name, new WeightNorm(dim ?? -1), { unsafe: true });
  const key = stateName(name);
  module.registerLoadStateDictPreHook((_, state, prefix) => {
    for (const [i, older] of ['g', 'v'].entries()) {
      const tensor = state[`${prefix}${key}_${older}`];
      if (tensor === undefined || !isParametrized(module, name)) continue;
      delete state[`${prefix}${key}_${older}`];
      state[`${prefix}parametrizations.${key}.original${i}`] = tensor;
    }
  });
  return module;
}

export interface SpectralNormOptions {
  /** Of the power method, at every access in training. */
  nPowerIterations: number;
  eps: number;
  /** The dimension of the outputs; null: 1 of a ConvTranspose, 0 otherwise. */
  dim: number | null;
}
const SPECTRAL: SpectralNormOptions = { nPowerIterations: 1, eps: 1e-12, dim: null };

class SpectralNorm extends Module {
  /** Approximations of the first singular vectors; null of a weight of one dimension. */
  readonly _u: Tensor | null = null;
  readonly _v: Tensor | null = null;

  constructor(
    weight: Tensor,
    readonly iterations: number,
    readonly dim: number,
    readonly eps: number,
  ) {
    super();
    if (weight.ndim === 1) return;
    torch.scope(() =>
      torch.noGrad(() => {
        const matrix = this.#matrix(weight);
        const [rows, columns] = matrix.shape as [number, number];
        const { dtype, device } = matrix;
        const draw = (size: number) => torch.empty([size], { dtype, device }).normal_(0, 1);
        const [u, v] = [draw(rows), draw(columns)];
        Object.assign(this, {
          _u: buffer(() => this.#unit(u)),
          _v: buffer(() => this.#unit(v)),
        });
        this.#iterate(matrix, 15);
      }),
    );
  }

  override forward(weight: Tensor): Tensor {
    const { _u, _v } = this;
    if (_u === null || _v === null) return this.#unit(weight);
    const matrix = this.#matrix(weight);
    if (this.training) torch.noGrad(() => this.#iterate(matrix, this.iterations));
    // Copies: the next access writes the vectors that this one's backward needs.
    const u = _u.clone();
    const v = _v.clone();
    return weight.div(torch.vdot(u, torch.mv(matrix, v)));
  }

  /** The value is taken for the original: it would change with its largest singular value otherwise. */
  rightInverse(value: Tensor): Tensor {
    return value;
  }

  #unit(x: Tensor): Tensor {
    return normalize(x, { dim: 0, eps: this.eps });
  }

  #matrix(weight: Tensor): Tensor {
    return weight.movedim(this.dim, 0).flatten(1);
  }

  #iterate(matrix: Tensor, count: number): void {
    for (let i = 0; i < count; i++) {
      this._u!.copy_(this.#unit(torch.mv(matrix, this._v!)));
      this._v!.copy_(this.#unit(torch.mv(matrix.H, this._u!)));
    }
  }

  protected override details(): string {
    return `${this.iterations}, ${this.dim}, ${this.eps}`;
  }
}

/**
 * Divides a weight, as a matrix, by its largest singular value, found by the power method (Miyato et al.,
 * 2018).
 * @returns the module
 */
export function spectralNorm<M extends Module>(
  module: M,
  name = 'weight',
  options: Given<SpectralNormOptions> = {},
): M {
  const where = 'spectralNorm';
  const { nPowerIterations, eps, dim } = withDefaults(where, SPECTRAL, options);
  requireCounts(where, { nPowerIterations });
  requireNumbers(where, { eps }, 0);
  const weight = tensorOf(where, module, name);
  const transposed = [ConvTranspose1d, ConvTranspose2d, ConvTranspose3d].some(
    (each) => module instanceof each,
  );
  const along = dim ?? (transposed ? 1 : 0);
  requireDim(where, along, weight.ndim);
  const positive = along < 0 ? along + weight.ndim : along;
  const norm = new SpectralNorm(weight, nPowerIterations, positive, eps);
  return registerParametrization(module, name, norm);
}

/** The tensor of a module now, parametrized or not. */
function tensorOf(where: string, module: Module, name: string): Tensor {
  if (!(module instanceof Module) || !isParametrized(module, name)) {
    return stateAt(where, module, name);
  }
  return (module as unknown as Record<string, Tensor>)[name]!;
}

function requireDim(where: string, dim: number, dims: number): void {
  if (Number.isInteger(dim) && dim >= -dims && dim < dims) return;
  throw new ArgumentError(
    `${where}: found ${describe(dim)} for a dimension, expected one from ${-dims} to ${dims - 1}`,
  );
}
