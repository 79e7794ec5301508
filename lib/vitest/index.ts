/**
 * Tensors in vitest: `import 'm3l/vitest'` in a setup file. Adds `toBeCloseToTensor`, and compares tensors
 * in `toBe` and `toEqual` by identity: they can be iterated, and would be compared row by row.
 */
import { expect } from 'vitest';
import { type NestedNumbers, Tensor } from '../torch/index.js';
import { compare, type Tolerance } from './compare.js';

export type { Tolerance };

/** The matchers that `m3l/vitest` adds. */
export interface TensorMatchers<R> {
  /**
   * Same shape, and each value within atol + rtol · |expected|; NaN equals NaN.
   * @param expected a tensor, or its values as nested arrays
   */
  toBeCloseToTensor(expected: Tensor | NestedNumbers, tolerance?: Tolerance): R;
}

declare module 'vitest' {
  interface Assertion<T> extends TensorMatchers<T> {}
  interface AsymmetricMatchersContaining extends TensorMatchers<unknown> {}
}

expect.addEqualityTesters([
  (a, b) => (a instanceof Tensor && b instanceof Tensor ? a === b : undefined),
]);

expect.extend({
  toBeCloseToTensor(received: unknown, expected: unknown, tolerance?: Tolerance) {
    const { pass, message } = compare(received, expected, tolerance);
    return { pass, message: () => message };
  },
});
