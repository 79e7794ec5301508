/** Nested arrays of numbers, as deep as a tensor has dimensions; a bare number for none. */
export type NestedNumbers = number | NestedNumbers[];

/** The values from `cursor` on, nested from dimension `dim` of the shape. */
export function nest(
  values: ArrayLike<number | bigint>,
  shape: readonly number[],
  dim: number,
  cursor: { at: number },
): NestedNumbers {
  if (dim === shape.length) return Number(values[cursor.at++]);
  return Array.from({ length: shape[dim]! }, () => nest(values, shape, dim + 1, cursor));
}
