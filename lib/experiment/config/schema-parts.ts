import { z } from 'zod';

/** A short form (`framework: m3l`, `size: 128`) stands for an object or a pair. */
export function shorthand<Schema extends z.ZodType>(
  expand: (value: unknown) => unknown,
  schema: Schema,
) {
  return z.preprocess(expand, schema);
}

export const count = z.int().positive();
export const countOrNone = z.int().nonnegative();
export const share = z.number().min(0).max(1);

/** [height, width]; one number stands for a square. */
export const size = shorthand(
  (value) => (typeof value === 'number' ? [value, value] : value),
  z.tuple([count, count]),
);
