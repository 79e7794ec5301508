import { M3lError } from '../../torch/errors.js';
import type { Tensor } from '../../torch/index.js';
import * as torch from '../../torch/index.js';
import { withDefaults } from '../../torch/require.js';
import { requireNumbers } from '../check.js';
import { tensorsOf } from './parameters.js';

export interface NormOptions {
  /** The p of the norm; `Infinity` for the largest value. */
  normType?: number;
  /** Throw where the norm is not finite. */
  errorIfNonfinite?: boolean;
}
const NORM = { normType: 2, errorIfNonfinite: false };

/**
 * The norm of the tensors as one vector, a scalar on the device of the first.
 * @throws {M3lError} `M3L_NN_NONFINITE` where that is asked for and the norm is not finite
 */
export function getTotalNorm(
  tensors: Tensor | Iterable<Tensor>,
  options: NormOptions = {},
): Tensor {
  const { normType, errorIfNonfinite } = withDefaults('getTotalNorm', NORM, options);
  requireNumbers('getTotalNorm', { normType });
  const list = tensorsOf(tensors, 'getTotalNorm');
  const [first] = list;
  if (first === undefined) return torch.zeros([]);
  return torch.scope(() => {
    const norms = alike(list).flatMap((group) => torch._foreachNorm(group, normType));
    const stacked = torch.stack(norms.map((norm) => norm.to(first.device)));
    const total = torch.linalg.vectorNorm(stacked, normType);
    if (errorIfNonfinite && !Number.isFinite(Number(total.item()))) {
      throw new M3lError(
        'M3L_NN_NONFINITE',
        `getTotalNorm: found the norm ${total.item()}, expected a finite one: look for what overflows, or pass { errorIfNonfinite: false }`,
      );
    }
    return total;
  });
}

/**
 * Scales the gradients of all parameters together so that their norm is at most `maxNorm`.
 * @returns the norm before, a scalar
 * @throws {M3lError} `M3L_NN_NONFINITE` as {@link getTotalNorm}, before anything is scaled
 */
export function clipGradNorm_(
  parameters: Tensor | Iterable<Tensor>,
  maxNorm: number,
  options: NormOptions = {},
): Tensor {
  requireNumbers('clipGradNorm_', { maxNorm }, 0);
  const gradients = gradientsOf(parameters, 'clipGradNorm_');
  const total = torch.noGrad(() => getTotalNorm(gradients, options));
  torch.scope(() => {
    torch.noGrad(() => {
      const factor = total.add(1e-6).reciprocal().mul(maxNorm).clampMax(1);
      for (const group of alike(gradients)) {
        torch._foreachMul_(group, factor.to(group[0]!.device));
      }
    });
  });
  return total;
}

/** Cuts every value of the parameters' gradients to [-clipValue, clipValue]. */
export function clipGradValue_(parameters: Tensor | Iterable<Tensor>, clipValue: number): void {
  requireNumbers('clipGradValue_', { clipValue }, 0);
  torch.scope(() => {
    torch.noGrad(() => {
      for (const gradient of gradientsOf(parameters, 'clipGradValue_')) {
        gradient.clamp_(-clipValue, clipValue);
      }
    });
  });
}

function gradientsOf(parameters: Tensor | Iterable<Tensor>, where: string): Tensor[] {
  return tensorsOf(parameters, where).flatMap(({ grad }) => (grad === null ? [] : [grad]));
}

/** The tensors by device and dtype: what operators over lists take. */
function alike(tensors: readonly Tensor[]): Tensor[][] {
  const groups = new Map<string, Tensor[]>();
  for (const tensor of tensors) {
    const kind = `${tensor.device} ${tensor.dtype}`;
    groups.set(kind, [...(groups.get(kind) ?? []), tensor]);
  }
  return [...groups.values()];
}
