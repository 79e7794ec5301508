/**
 * Words that PyTorch's Python has for integers of the dispatcher's schemas: `reduction: 'mean'` is 1.
 * Also used by scripts/generate: this module must import nothing.
 */

export type Words = Readonly<Record<string, number>>;

/** By the name of the parameter, or by that of the operator and the parameter. */
const table: Readonly<Record<string, Words>> = {
  reduction: { none: 0, mean: 1, sum: 2 },
  interpolation_mode: { bilinear: 0, nearest: 1, bicubic: 2 },
  padding_mode: { zeros: 0, border: 1, reflection: 2 },
  compute_mode: {
    use_mm_for_euclid_dist_if_necessary: 0,
    use_mm_for_euclid_dist: 1,
    donot_use_mm_for_euclid_dist: 2,
  },
  'embedding_bag.mode': { sum: 0, mean: 1, max: 2 },
};

/** The words of an integer parameter, or null where it has none. */
export function wordsOf(operator: string, parameter: string): Words | null {
  for (const key of [parameter, `${operator}.${parameter}`]) {
    if (Object.hasOwn(table, key)) return table[key]!;
  }
  return null;
}
