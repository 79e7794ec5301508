/** Values that occur once: `unique` and `uniqueConsecutive`. */
import { bindArguments } from '../arguments.js';
import { operator } from '../invoke.js';
import type { Tensor } from '../tensor.js';

type Three = [output: Tensor, inverse: Tensor, counts: Tensor];

const uniqueOfAll = operator<(...args: unknown[]) => Three>('_unique2');
const uniqueAlong = operator<(...args: unknown[]) => Three>('unique_dim');
const consecutive = operator<(...args: unknown[]) => Three>('unique_consecutive');

interface Flags {
  /** Also the place in the output of each element of the input. */
  returnInverse?: boolean;
  /** Also how often each occurs. */
  returnCounts?: boolean;
}

export interface UniqueConsecutiveOptions extends Flags {
  /** Compare the slices along this dimension; null: all elements. */
  dim?: number | null;
}

export interface UniqueOptions extends UniqueConsecutiveOptions {
  /** In ascending order: the default. */
  sorted?: boolean;
}

/** What is asked for beside the output. */
type Results<O extends Flags> = O extends { returnInverse: true; returnCounts: true }
  ? [output: Tensor, inverse: Tensor, counts: Tensor]
  : O extends { returnInverse: true }
    ? [output: Tensor, inverse: Tensor]
    : O extends { returnCounts: true }
      ? [output: Tensor, counts: Tensor]
      : Tensor;

/** The two as methods. */
export interface UniqueMethods {
  /** The different elements, or slices along `dim`, in ascending order. */
  unique<O extends UniqueOptions>(options?: O): Results<O>;
  /** As `unique`, of neighbours alone and in their order. */
  uniqueConsecutive<O extends UniqueConsecutiveOptions>(options?: O): Results<O>;
}

/** The different elements, or slices along `dim`, in ascending order. */
export function unique<O extends UniqueOptions>(self: Tensor, options?: O): Results<O>;
export function unique(self: Tensor, ...args: unknown[]): unknown {
  const defaults = { sorted: true, returnInverse: false, returnCounts: false, dim: null };
  const { sorted, returnInverse, returnCounts, dim } = bindArguments('unique', args, defaults);
  const results =
    dim === null
      ? uniqueOfAll(self, sorted, returnInverse, returnCounts)
      : uniqueAlong(self, dim, sorted, returnInverse, returnCounts);
  return wanted(results, returnInverse, returnCounts);
}

/** As `unique`, of neighbours alone and in their order. */
export function uniqueConsecutive<O extends UniqueConsecutiveOptions>(
  self: Tensor,
  options?: O,
): Results<O>;
export function uniqueConsecutive(self: Tensor, ...args: unknown[]): unknown {
  const defaults = { returnInverse: false, returnCounts: false, dim: null };
  const { returnInverse, returnCounts, dim } = bindArguments('uniqueConsecutive', args, defaults);
  const results = consecutive(self, returnInverse, returnCounts, dim);
  return wanted(results, returnInverse, returnCounts);
}

function wanted([output, inverse, counts]: Three, withInverse: boolean, withCounts: boolean) {
  const beside = [...(withInverse ? [inverse] : []), ...(withCounts ? [counts] : [])];
  if (!withInverse) inverse.dispose();
  if (!withCounts) counts.dispose();
  return beside.length === 0 ? output : [output, ...beside];
}
