/** Whether two tensors, or their values, are close. */
import { describe } from '../torch/errors.js';
import { ArgumentError, scope, Tensor } from '../torch/index.js';

/** How far values may be from what is expected. */
export interface Tolerance {
  /** Relative to the expected value; default 1e-5. */
  rtol?: number;
  /** Absolute; default 1e-7. */
  atol?: number;
}

interface Values {
  shape: readonly number[];
  values: readonly number[];
}

/**
 * @returns whether the shapes agree and each value is within atol + rtol · |expected|; `message` says
 * where the worst one is, or, where all are close, that they should differ
 * @throws ArgumentError for what is neither a tensor nor nested arrays of numbers
 */
export function compare(
  received: unknown,
  expected: unknown,
  { rtol = 1e-5, atol = 1e-7 }: Tolerance = {},
): { pass: boolean; message: string } {
  const [found, wanted] = [valuesOf(received, 'received'), valuesOf(expected, 'expected')];
  if (String(found.shape) !== String(wanted.shape)) {
    return { pass: false, message: `shape is [${found.shape}], expected [${wanted.shape}]` };
  }
  let [worst, where] = [0, -1];
  found.values.forEach((value, i) => {
    const times = excess(value, wanted.values[i]!, rtol, atol);
    if (times > worst) [worst, where] = [times, i];
  });
  const message =
    where < 0
      ? `expected tensors of shape [${found.shape}] to differ`
      : `value ${where} (flat) is ${found.values[where]}, expected ${wanted.values[where]} (${worst.toPrecision(3)} × the tolerance)`;
  return { pass: worst <= 1, message };
}

/** Difference in tolerances; NaN is as far from a number as can be. */
function excess(value: number, other: number, rtol: number, atol: number): number {
  if (Object.is(value, other) || value === other) return 0;
  const times = Math.abs(value - other) / (atol + rtol * Math.abs(other));
  return Number.isNaN(times) ? Number.POSITIVE_INFINITY : times;
}

function valuesOf(given: unknown, name: string): Values {
  if (given instanceof Tensor) {
    return { shape: given.shape, values: scope(() => numbers(asReal(given).toArray())) };
  }
  const shape: number[] = [];
  for (let level = given; Array.isArray(level); level = level[0]) shape.push(level.length);
  const values = numbers(given);
  if (values.every((value) => typeof value === 'number')) return { shape, values };
  throw new ArgumentError(
    `toBeCloseToTensor: ${name} is ${describe(given)}, expected a Tensor or nested arrays of numbers`,
  );
}

function asReal(tensor: Tensor): Tensor {
  return tensor.dtype.startsWith('complex') ? tensor.detach().resolveConj().viewAsReal() : tensor;
}

function numbers(nested: unknown): number[] {
  return [nested].flat(Number.POSITIVE_INFINITY) as number[];
}
