import { z } from 'zod';

/** A registered model or framework, as far as its options go. */
export interface Choice {
  readonly name: string;
  readonly options?: z.ZodObject;
  readonly paperOptions?: Readonly<Record<string, unknown>>;
}

/** The one that a raw configuration names under `key`; the default one where it names none that there is. */
export function chosen<Each extends Choice>(
  raw: unknown,
  key: string,
  all: readonly Each[],
  defaultName: string,
): Each {
  const value = isRecord(raw) ? raw[key] : undefined;
  const name = isRecord(value) ? value.name : value;
  return all.find((each) => each.name === name) ?? all.find((each) => each.name === defaultName)!;
}

/**
 * Without the options that mean nothing to the chosen one, because it has none of the name or takes no
 * such value, but are another's, and have the value that they have by default there: so that a
 * configuration with every default filled in can change its model by name.
 */
export function withoutForeign(value: unknown, own: Choice, all: readonly Choice[]): unknown {
  if (!isRecord(value)) return value;
  const isForeign = (key: string, entry: unknown) =>
    !(optionOf(own, key)?.safeParse(entry).success ?? false) &&
    all.some((each) => {
      const option = optionOf(each, key);
      const defaults = [option?.safeParse(undefined).data, each.paperOptions?.[key]];
      return option !== undefined && defaults.some((value) => sameJson(value, entry));
    });
  return Object.fromEntries(Object.entries(value).filter(([key, entry]) => !isForeign(key, entry)));
}

/** Names of those that have an option. */
export function ownersOf(key: string, all: readonly Choice[]): string[] {
  return all.filter((each) => hasOption(each, key)).map(({ name }) => name);
}

/**
 * Of the keys, those that `own` has no option for but another of the compared ones has: where one
 * configuration serves them all, it means the others. What none of them has is left to be refused.
 */
export function optionsOfOthers(
  keys: readonly string[],
  own: string,
  compared: readonly string[],
  all: readonly Choice[],
): string[] {
  return keys.filter((key) => {
    const owners = ownersOf(key, all);
    return !owners.includes(own) && compared.some((name) => owners.includes(name));
  });
}

/** Every option of any of them; one that several have and that differs takes what any of them takes. */
export function allOptions(all: readonly Choice[]): z.core.$ZodLooseShape {
  const keys = new Set(all.flatMap(({ options }) => Object.keys(options?.shape ?? {})));
  return Object.fromEntries([...keys].map((key) => [key, optionOfAny(key, all)]));
}

function optionOfAny(key: string, all: readonly Choice[]): z.ZodType {
  const kinds = new Map<string, { schema: z.ZodType; owners: string[] }>();
  for (const name of ownersOf(key, all)) {
    const schema = all.find((each) => each.name === name)!.options!.shape[key] as z.ZodType;
    const text = JSON.stringify(z.toJSONSchema(schema, { unrepresentable: 'any' }));
    const kind = kinds.get(text) ?? { schema, owners: [] };
    kind.owners.push(name);
    kinds.set(text, kind);
  }
  const [first, ...others] = [...kinds.values()];
  if (others.length === 0) return first!.schema;
  const defaults = [first!, ...others].map(
    ({ schema, owners }) => `\`${schema.safeParse(undefined).data}\` (${owners.join(', ')})`,
  );
  const schemas = [first!, ...others].map(({ schema }) => schema);
  const note = `${first!.schema.description} Absent: ${defaults.join(', ')}.`;
  return z.union(schemas).optional().describe(note);
}

function hasOption(each: Choice, key: string): boolean {
  return optionOf(each, key) !== undefined;
}

function optionOf({ options }: Choice, key: string): z.ZodType | undefined {
  const shape: Readonly<Record<string, z.ZodType>> = options?.shape ?? {};
  return Object.hasOwn(shape, key) ? shape[key] : undefined;
}

function sameJson(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
