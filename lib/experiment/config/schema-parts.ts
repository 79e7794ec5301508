import { z } from 'zod';

/** Says in a message what a key expects, where its type alone would say too little. */
export interface KeyMeta {
  /** The key names a file or folder; relative ones are made absolute by where they were written. */
  path?: 'file' | 'list';
  /** Texts that the key may have instead of a path; `./none` is a file of such a name. */
  words?: readonly string[];
  /** What is expected, as a message says it. */
  expects?: string;
  [key: string]: unknown;
}

const expansions = new WeakMap<z.core.$ZodType, (value: unknown) => unknown>();

/** A short form (`framework: m3l`, `size: 128`) stands for an object or a pair. */
export function shorthand<Schema extends z.ZodType>(
  expand: (value: unknown) => unknown,
  schema: Schema,
) {
  const made = z.preprocess(expand, schema);
  // A schema with notes is a copy: what it reads from stays the same.
  expansions.set(made._zod.def.in, expand);
  return made;
}

/** What `shorthand` expands with; undefined for a schema that has no short form. */
export function expansionOf(schema: z.core.$ZodType): ((value: unknown) => unknown) | undefined {
  const { in: before } = schema._zod.def as { in?: z.core.$ZodType };
  return before === undefined ? undefined : expansions.get(before);
}

/** More than any use needs, and far from what would hang or wrap around. */
const MOST = 1_000_000_000;

export const count = z.int().positive().max(MOST);
export const countOrNone = z.int().nonnegative().max(MOST);
/** Seeds are exact integers of a double. */
export const seed = z.int().nonnegative();
export const share = z.number().min(0).max(1);
/** A factor or weight from 0 on. */
export const factor = z.number().nonnegative().max(1e6);

/** A name, path or pattern. */
export const text = z.string().min(1).max(4096);

/** A file or folder: relative ones are relative to the file that names them, or to the current folder. */
export const path = text.meta({ path: 'file' } satisfies KeyMeta);

const side = z.int().positive().max(65_536);

/** [height, width]; one number stands for a square. */
export const size = shorthand(
  (value) => (typeof value === 'number' ? [value, value] : value),
  z
    .tuple([side, side])
    .meta({ expects: 'a number, or [height, width], each from 1 to 65536' } satisfies KeyMeta),
);
