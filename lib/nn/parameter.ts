import { ArgumentError, describe } from '../torch/errors.js';
import * as torch from '../torch/index.js';
import { Tensor } from '../torch/index.js';
import { requireFunction, withDefaults } from '../torch/require.js';

/** What a tensor is to the modules that hold it. `scratch`: a buffer that no state dict has. */
export type Role = 'parameter' | 'buffer' | 'scratch';

const roles = new WeakMap<Tensor, { role: Role; order: number }>();
let made = 0;

/** Counts what modules are made of, in the order in which it is made. */
export function nextOrder(): number {
  return ++made;
}

/** What a value is to a module that holds it; undefined: none of its state. */
export function roleOf(value: unknown): Role | undefined {
  return value instanceof Tensor ? roles.get(value)?.role : undefined;
}

/** When a parameter or buffer was made, see {@link nextOrder}; 0 for other tensors. */
export function orderOf(tensor: Tensor): number {
  return roles.get(tensor)?.order ?? 0;
}

/** Runs `make` so that its result outlives every scope, and nothing else made inside does. */
export function persistent(make: () => Tensor): Tensor {
  requireFunction(make, 'nn.persistent');
  return torch.detached(() => torch.scope(() => torch.noGrad(make)));
}

/** A tensor of its own life with a role: `source` itself detached, or what it makes. */
export function register(role: Role, source: Tensor | (() => Tensor)): Tensor {
  if (!(source instanceof Tensor)) requireFunction(source, 'nn.parameter, nn.buffer');
  const tensor = persistent(typeof source === 'function' ? source : () => source.detach());
  if (!(tensor instanceof Tensor)) {
    throw new ArgumentError(
      `nn.parameter, nn.buffer: the function gave ${describe(tensor)}, expected a Tensor`,
    );
  }
  roles.set(tensor, { role, order: nextOrder() });
  return tensor;
}

/**
 * A trainable tensor. Assigned to a property of a module it is one of the module's parameters.
 * It belongs to no scope: it lives until the module is disposed of.
 *
 * @param source the values (their memory is shared, not copied), or a function that makes them.
 */
export function parameter(source: Tensor | (() => Tensor)): Tensor {
  return register('parameter', source).requiresGrad_(true);
}

/**
 * A tensor of the module's state that is not trained; otherwise as {@link parameter}.
 *
 * @param options.persistent (default true) false: it moves with the module, but is in no state dict.
 */
export function buffer(
  source: Tensor | (() => Tensor),
  options: { persistent?: boolean } = {},
): Tensor {
  const { persistent } = withDefaults('nn.buffer', { persistent: true }, options);
  return register(persistent ? 'buffer' : 'scratch', source);
}
