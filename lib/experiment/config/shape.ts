import { z } from 'zod';
import { expansionOf, type KeyMeta } from './schema-parts.js';

/** What configuration files and overrides need to know of the schema: its keys, short forms and notes. */

export type Schema = z.core.$ZodType;

interface Definition {
  type: string;
  innerType?: Schema;
  in?: Schema;
  out?: Schema;
  shape?: Record<string, Schema>;
  valueType?: Schema;
  element?: Schema;
  items?: readonly Schema[];
  defaultValue?: unknown;
}

function definition(schema: Schema): Definition {
  return schema._zod.def as unknown as Definition;
}

/** The schema and what it wraps, from the outside in: defaults, options, short forms. */
export function* layers(schema: Schema): Generator<Schema> {
  let current: Schema | undefined = schema;
  while (current !== undefined) {
    yield current;
    const { innerType, type, in: before, out }: Definition = definition(current);
    const written = out !== undefined && definition(out).type === 'transform' ? before : out;
    current = innerType ?? (type === 'pipe' ? written : undefined);
  }
}

function innermost(schema: Schema): Schema {
  return [...layers(schema)].at(-1)!;
}

/** The known keys of an object; none for anything else. */
export function keysOf(schema: Schema | undefined): string[] {
  return schema === undefined ? [] : Object.keys(shapeOf(schema));
}

function shapeOf(schema: Schema): Record<string, Schema> {
  return definition(innermost(schema)).shape ?? {};
}

/** The schema of a key or an index. Of a record, whose keys are the user's own, that of its values. */
export function childOf(schema: Schema | undefined, key: PropertyKey): Schema | undefined {
  if (schema === undefined) return undefined;
  const { valueType, element, items, shape = {} } = definition(innermost(schema));
  if (valueType !== undefined) return valueType;
  if (element !== undefined) return element;
  if (items !== undefined) return items[Number(key)];
  return Object.hasOwn(shape, key) ? shape[String(key)] : undefined;
}

export function schemaAt(schema: Schema, path: readonly PropertyKey[]): Schema | undefined {
  return path.reduce<Schema | undefined>(childOf, schema);
}

/** The paths of all keys whose names are not the user's. */
export function allPaths(schema: Schema, prefix: readonly string[] = []): string[][] {
  return Object.entries(shapeOf(schema)).flatMap(([key, child]) => [
    [...prefix, key],
    ...allPaths(child, [...prefix, key]),
  ]);
}

/** A schema's notes, the outermost first. */
export function metaOf(schema: Schema | undefined): KeyMeta {
  if (schema === undefined) return {};
  const notes = [...layers(schema)].map((layer) => z.globalRegistry.get(layer) as KeyMeta);
  return Object.assign({}, ...notes.reverse());
}

/** What a key has where nothing is written, before it is checked; undefined: nothing. */
export function defaultOf(schema: Schema | undefined): unknown {
  if (schema === undefined) return undefined;
  for (const layer of layers(schema)) {
    const { type, defaultValue } = definition(layer);
    if (type === 'default' || type === 'prefault') return structuredClone(defaultValue);
  }
  return undefined;
}

/** Whether null is a value of the key, not the absence of one. */
export function takesNull(schema: Schema | undefined): boolean {
  if (schema === undefined) return false;
  return [...layers(schema)].some((layer) => definition(layer).type === 'nullable');
}

/** A value with every short form in it written out, so that deeper keys can be laid over it. */
export function expandShortForms(value: unknown, schema: Schema | undefined): unknown {
  if (schema === undefined) return value;
  let expanded = value;
  for (const layer of layers(schema)) expanded = expansionOf(layer)?.(expanded) ?? expanded;
  if (Array.isArray(expanded)) {
    return expanded.map((entry, index) => expandShortForms(entry, childOf(schema, index)));
  }
  if (!isRecord(expanded)) return expanded;
  return mapRecord(expanded, (entry, key) => expandShortForms(entry, childOf(schema, key)));
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function mapRecord(
  record: Record<string, unknown>,
  change: (value: unknown, key: string) => unknown,
): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(record).map(([key, value]) => [key, change(value, key)]),
  );
}
