import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';

interface Groups {
  readonly params: readonly Tensor[];
}

/** Global 2-norm of all gradients, a scalar tensor. */
export function gradientNorm(groups: readonly Groups[]): Tensor {
  const gradients = gradientsOf(groups);
  if (gradients.length === 0) return torch.zeros([]);
  return torch.stack(torch._foreachNorm(gradients, 2)).norm();
}

/** Multiplies all gradients by a factor: a number, or a scalar tensor where they are. */
export function scaleGradients(groups: readonly Groups[], factor: number | Tensor): void {
  torch.noGrad(() => torch._foreachMul_(gradientsOf(groups), factor as Tensor));
}

function gradientsOf(groups: readonly Groups[]): Tensor[] {
  return groups.flatMap(({ params }) =>
    params.flatMap((parameter) => {
      const { grad } = parameter;
      return grad === null ? [] : [grad];
    }),
  );
}
