import { ensureSynchronous } from './autograd.js';
import { dtypeCode } from './dtype.js';
import { ArgumentError, describe } from './errors.js';
import { core } from './native.js';
import { requireFunction, requireObject } from './require.js';

/** What autocast computes products in; `float32`: as without it. */
export type AutocastDType = (typeof autocastDTypes)[number];

const autocastDTypes = ['bfloat16', 'float16', 'float32'] as const;

/**
 * Runs synchronous `fn` under automatic mixed precision, as `torch.autocast` of PyTorch: matrix
 * products, convolutions and attention of float32 tensors on `device` compute in `dtype` and give it,
 * operators that sum many values stay in float32. Weights stay as they are: their narrow copies live
 * until the outermost region ends. Run the backward outside: it computes in what its forward did.
 * Regions nest, and `float32` turns it off inside another.
 *
 * @throws ArgumentError M3L_ARGUMENT for another dtype, and where `fn` returns a promise: the mode
 *   belongs to the thread
 */
export function autocast<T>(options: { dtype: AutocastDType; device?: string }, fn: () => T): T {
  requireObject(options, 'autocast', 'options with a dtype');
  requireFunction(fn, 'autocast');
  const { dtype, device = 'cpu' } = options;
  if (!autocastDTypes.includes(dtype)) {
    throw new ArgumentError(
      `autocast: dtype is ${describe(dtype)}, expected one of ${autocastDTypes.join(', ')}`,
    );
  }
  core.autocastPush(device, dtypeCode(dtype));
  try {
    return ensureSynchronous(fn(), 'autocast');
  } finally {
    core.autocastPop();
  }
}

/** Whether operators on the device choose their dtype themselves: see `autocast`. */
export function isAutocastEnabled(device = 'cpu'): boolean {
  return core.isAutocastEnabled(device);
}
