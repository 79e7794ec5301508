import { refresh } from './context.js';
import { ArgumentError, describe } from './errors.js';
import { core } from './native.js';
import { type Tensor, wrap } from './tensor.js';

/** A tensor on its way to another thread: what `tensor.share()` gives, and postMessage carries. */
export interface SharedTensor {
  readonly sharedTensor: number;
}

/**
 * The tensor that another thread of this process shared, without a copy: both see the same memory, and it
 * lives as long as either does. What was shared is received once.
 * @throws M3lError M3L_SHARED where it was received already
 */
export function receive(shared: SharedTensor): Tensor {
  const number = (shared as { sharedTensor?: unknown } | null | undefined)?.sharedTensor;
  if (typeof number !== 'number' || !Number.isSafeInteger(number)) {
    throw new ArgumentError(
      `torch.receive: found ${describe(shared)}, expected what tensor.share() gave`,
    );
  }
  refresh();
  return wrap(core.receive(number));
}
