import { ArgumentError, describe } from '../../torch/errors.js';
import * as torch from '../../torch/index.js';
import { Tensor } from '../../torch/index.js';
import { requireIterable } from '../../torch/require.js';

/** The tensors of a list, or one alone. */
export function tensorsOf(tensors: Tensor | Iterable<Tensor>, where: string): Tensor[] {
  if (tensors instanceof Tensor) return [tensors];
  requireIterable(tensors, where);
  const list = [...tensors];
  const stray = list.find((tensor) => !(tensor instanceof Tensor));
  if (stray === undefined) return list;
  throw new ArgumentError(`${where}: found ${describe(stray)} in the list, expected tensors`);
}

/** All values one after another, [sum of the sizes]; differentiable. */
export function parametersToVector(parameters: Iterable<Tensor>): Tensor {
  const list = tensorsOf(parameters, 'parametersToVector');
  if (list.length === 0) return torch.zeros([0]);
  return torch.cat(list.map((parameter) => parameter.reshape([-1])));
}

/**
 * The inverse of {@link parametersToVector}: copies the values into the parameters.
 * @throws ArgumentError, before anything is copied, for a vector of another size
 */
export function vectorToParameters(vector: Tensor, parameters: Iterable<Tensor>): void {
  const list = tensorsOf(parameters, 'vectorToParameters');
  const sizes = list.map((parameter) => parameter.numel());
  const total = sizes.reduce((sum, size) => sum + size, 0);
  if (!(vector instanceof Tensor) || vector.ndim !== 1 || vector.numel() !== total) {
    const found = vector instanceof Tensor ? `shape [${vector.shape}]` : describe(vector);
    throw new ArgumentError(`vectorToParameters: found ${found}, expected a vector [${total}]`);
  }
  if (list.length === 0) return;
  torch.scope(() => {
    torch.noGrad(() => {
      const parts = vector.split(sizes);
      for (const [i, parameter] of list.entries()) {
        parameter.copy_(parts[i]!.reshape(parameter.shape));
      }
    });
  });
}
