import { torch } from 'm3l';
import { expect } from 'vitest';

type Values = torch.Tensor | torch.NestedNumbers;

interface Tolerance {
  /** Relative to the expected value; default 1e-5. */
  rtol?: number;
  /** Absolute; default 1e-7. */
  atol?: number;
}

interface TensorMatchers<R> {
  /** Same shape, and each value within atol + rtol·|expected|. */
  toBeCloseToTensor(expected: Values, tolerance?: Tolerance): R;
}

declare module 'vitest' {
  interface Assertion<T> extends TensorMatchers<T> {}
  interface AsymmetricMatchersContaining extends TensorMatchers<unknown> {}
}

// A tensor can be iterated, and would be compared row by row: it equals itself alone.
expect.addEqualityTesters([
  (a, b) => (a instanceof torch.Tensor && b instanceof torch.Tensor ? a === b : undefined),
]);

expect.extend({
  toBeCloseToTensor(received: Values, expected: Values, tolerance: Tolerance = {}) {
    const { rtol = 1e-5, atol = 1e-7 } = tolerance;
    const [found, wanted] = [flatten(received), flatten(expected)];
    if (String(found.shape) !== String(wanted.shape)) {
      return {
        pass: false,
        message: () => `shape is [${found.shape}], expected [${wanted.shape}]`,
      };
    }
    let worst = 0;
    let where = -1;
    found.values.forEach((value, i) => {
      const other = wanted.values[i]!;
      if (Object.is(value, other) || value === other) return;
      const excess = Math.abs(value - other) / (atol + rtol * Math.abs(other));
      if (excess <= worst) return;
      // NaN on one side only compares false with everything: take it as the worst.
      worst = Number.isNaN(excess) ? Number.POSITIVE_INFINITY : excess;
      where = i;
    });
    const nan = found.values.findIndex(
      (v, i) => Number.isNaN(v) !== Number.isNaN(wanted.values[i]),
    );
    if (nan >= 0) [worst, where] = [Number.POSITIVE_INFINITY, nan];
    return {
      pass: worst <= 1,
      message: () =>
        where < 0
          ? `expected tensors of shape [${found.shape}] to differ`
          : `value ${where} (flat) is ${found.values[where]}, expected ${wanted.values[where]} (${worst.toPrecision(3)} × the tolerance)`,
    };
  },
});

function flatten(values: Values): { shape: readonly number[]; values: number[] } {
  if (values instanceof torch.Tensor) return { ...flatten(values.toArray()), shape: values.shape };
  const shape: number[] = [];
  for (let level: unknown = values; Array.isArray(level); level = level[0]) {
    shape.push(level.length);
  }
  return { shape, values: ([values] as unknown[]).flat(Number.POSITIVE_INFINITY) as number[] };
}
