/** Tensors of modules that are computed where they are read, from others that are the state instead. */
import { ArgumentError, describe } from '../../torch/errors.js';
import * as torch from '../../torch/index.js';
import { Tensor } from '../../torch/index.js';
import { requireText } from '../../torch/require.js';
import { type Module, requireModule } from '../module.js';
import { roleOf } from '../parameter.js';

type Fields = Record<string, unknown>;

export function fieldsOf(module: Module): Fields {
  return module as unknown as Fields;
}

/**
 * The parameter or buffer that a property of a module holds.
 * @throws ArgumentError where it holds none, or one that is computed
 */
export function stateAt(where: string, module: Module, name: string): Tensor {
  requireModule(module, where);
  requireText(name, where, 'the name of a property');
  const value = Object.getOwnPropertyDescriptor(module, name)?.value as unknown;
  if (value instanceof Tensor && roleOf(value) !== undefined) return value;
  const found = Object.hasOwn(module, name) ? describe(fieldsOf(module)[name]) : 'none';
  throw new ArgumentError(
    `${where}: found ${found} at '${name}' of ${module.constructor.name}, expected the name of a property with a parameter or a buffer that is not computed already`,
  );
}

/** Has a property of a module computed at each access; it is no part of the state any more. */
export function compute(
  module: Module,
  name: string,
  get: () => Tensor,
  set?: (value: Tensor) => void,
): void {
  // What is not enumerable is no member of a module.
  Object.defineProperty(module, name, { configurable: true, enumerable: false, get, set });
}

/** Puts a tensor with a role where one was computed. */
export function restore(module: Module, name: string, tensor: Tensor): void {
  const property = { configurable: true, enumerable: true, writable: true, value: tensor };
  Object.defineProperty(module, name, property);
}

/** Gives a tensor other values in place, of another shape where they are. */
export function assign(tensor: Tensor, values: Tensor): void {
  if (tensor.shape.join() === values.shape.join()) {
    torch.noGrad(() => tensor.copy_(values));
    return;
  }
  torch.scope(() => torch.noGrad(() => void tensor.set_(values.contiguous().clone())));
}
