import { ArgumentError, describe } from './errors.js';

/** A number together with what it is, where JavaScript's own does not say; see {@link scalar}. */
export class TypedScalar {
  /** As the core takes it: [value] is a float, [real, imaginary] a complex number. */
  readonly native: readonly number[];

  /** Internal: use `torch.scalar`. */
  constructor(native: readonly number[]) {
    this.native = native;
  }
}

/**
 * A number that an operator takes as one. An integral number is an integer, as is a bigint: 2 stands for
 * Python's 2; `torch.scalar(2)` stands for its 2.0.
 */
export type Scalar = number | bigint | boolean | TypedScalar;

/** A list of numbers; one number stands for a list of one, or for as many as the operator wants. */
export type NumberList = number | readonly number[];

/**
 * A float, also where it is integral, or a complex number: `int64.mul(torch.scalar(2))` is float32,
 * `int64.mul(2)` int64; `x.mul(torch.scalar(0, 1))` turns x by a quarter.
 * @throws ArgumentError where a part is no number
 */
export function scalar(real: number, imaginary?: number): TypedScalar {
  const parts = imaginary === undefined ? [real] : [real, imaginary];
  const stray = parts.find((part) => typeof part !== 'number');
  if (stray === undefined) return new TypedScalar(parts);
  throw new ArgumentError(
    `torch.scalar: found ${describe(stray)}, expected a number, or the two of a complex one`,
  );
}
