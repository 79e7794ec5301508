import type { Tensor } from '../../torch/index.js';
import * as torch from '../../torch/index.js';
import type { Collectives } from '../peers.js';

/**
 * Brings the gradients of all processes together: each parameter's is then the sum (or mean) of theirs, and
 * null where nobody has one.
 */
export function shareGradients(
  group: Collectives,
  parameters: readonly Tensor[],
  operation: 'sum' | 'mean',
): void {
  torch.noGrad(() =>
    torch.scope(() => {
      const { device } = parameters[0]!;
      const has = Float32Array.from(parameters, ({ grad }) => (grad ? 1 : 0));
      const found = torch.tensor(has, { device });
      group.allReduce(found, 'sum');
      const counts = found.toTypedArray() as Float32Array;
      const shared = parameters.filter((_, i) => counts[i]! > 0);
      for (const dtype of new Set(shared.map((parameter) => parameter.dtype))) {
        const some = shared.filter((parameter) => parameter.dtype === dtype);
        const flat = torch.cat(
          some.map((parameter) => (parameter.grad ?? parameter.zerosLike()).flatten()),
        );
        group.allReduce(flat, operation);
        let from = 0;
        for (const parameter of some) {
          const size = parameter.numel();
          const part = flat.narrow(0, from, size).view([...parameter.shape]);
          from += size;
          if (parameter.grad) parameter.grad.copy_(part);
          else parameter.grad = torch.detached(() => part.clone());
        }
      }
    }),
  );
}
