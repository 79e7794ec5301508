import type { z } from 'zod';
import { ConfigError } from '../errors.js';
import { nearest } from '../nearest.js';
import { type ConfigSchema, optionOwners } from './schema.js';

type Path = readonly PropertyKey[];
type Issue = z.core.$ZodIssue;

/**
 * One error for everything that is wrong with a configuration: a line each, with the place, the
 * value found, what is expected, and the nearest known key or value.
 *
 * @param schema what it was checked with
 * @param locate line of a key in the file, or null
 */
export function explain(
  error: z.ZodError,
  schema: ConfigSchema,
  raw: unknown,
  origin: string,
  locate: (path: Path) => number | null,
): ConfigError {
  const messages: string[] = [];
  let unknownKey = false;
  const tell = (path: Path, message: string) => {
    const line = locate(path) ?? locate(path.slice(0, -1));
    messages.push(`${origin}${line === null ? '' : `:${line}`}: ${message}`);
  };
  for (const issue of error.issues) {
    if (issue.code === 'unrecognized_keys') {
      unknownKey = true;
      for (const key of issue.keys) tell([...issue.path, key], unknown(schema, issue.path, key));
    } else {
      tell(issue.path, invalid(issue, valueAt(raw, issue.path)));
    }
  }
  return new ConfigError(
    unknownKey ? 'M3L_CONFIG_UNKNOWN_KEY' : 'M3L_CONFIG_VALUE',
    messages.join('\n'),
  );
}

function unknown(schema: ConfigSchema, parent: Path, key: string): string {
  const full = dotted([...parent, key]);
  const owners = optionOwners(dotted(parent), key);
  if (owners.length > 0) {
    return `'${full}' is an option of ${owners.join(', ')}, not of the ${dotted(parent)} chosen; remove it.`;
  }
  const here = keysOf(schemaAt(schema, parent));
  const near = nearest(key, here);
  if (near !== null) return `unknown key '${full}'; did you mean '${dotted([...parent, near])}'?`;
  const elsewhere = allPaths(schema, []).find((path) => path.at(-1) === key);
  if (elsewhere !== undefined) {
    return `unknown key '${full}'; did you mean '${dotted(elsewhere)}'?`;
  }
  const place = parent.length === 0 ? 'a configuration' : `'${dotted(parent)}'`;
  return `unknown key '${full}'; ${place} knows ${here.join(', ')}.`;
}

function invalid(issue: Issue, found: unknown): string {
  const key = dotted(issue.path);
  const foundText = found === undefined ? 'nothing' : show(found);
  switch (issue.code) {
    case 'invalid_value': {
      const known = issue.values.map(String);
      const near = typeof found === 'string' ? nearest(found, known) : null;
      const hint = near === null ? '' : ` Did you mean '${near}'?`;
      return `${key}: found ${foundText}, expected ${listed(known)}.${hint}`;
    }
    case 'invalid_type':
      return `${key}: found ${foundText}, expected ${EXPECTED[issue.expected] ?? issue.expected}.`;
    case 'too_small':
      return `${key}: found ${foundText}, expected ${amount(issue.origin, issue.minimum, issue.inclusive === false ? 'more than' : 'at least')}.`;
    case 'too_big':
      return `${key}: found ${foundText}, expected ${amount(issue.origin, issue.maximum, issue.inclusive === false ? 'less than' : 'at most')}.`;
    default:
      return `${key}: found ${foundText}: ${issue.message}.`;
  }
}

const EXPECTED: Record<string, string> = {
  int: 'a whole number',
  number: 'a number',
  string: 'text',
  boolean: 'true or false',
  object: 'keys and values',
  record: 'keys and values',
  array: 'a list',
  tuple: 'a number, or [height, width]',
};

function amount(origin: string, bound: number | bigint, relation: string): string {
  return origin === 'array' ? `${relation} ${bound} entries` : `${relation} ${bound}`;
}

function listed(values: string[]): string {
  return values.length === 1
    ? `'${values[0]}'`
    : `one of ${values.map((value) => `'${value}'`).join(', ')}`;
}

function show(value: unknown): string {
  const text = typeof value === 'string' ? `'${value}'` : JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 77)}…` : text;
}

function dotted(path: Path): string {
  return path.map(String).join('.');
}

function valueAt(raw: unknown, path: Path): unknown {
  let value = raw;
  for (const key of path) {
    // A short form stands where an object was looked for: `framework: m3l`.
    if (typeof value === 'string') return value;
    if (typeof value !== 'object' || value === null) return undefined;
    value = (value as Record<PropertyKey, unknown>)[key];
  }
  return value;
}

/** The schema of an object's keys, seen through defaults, options and short forms. */
function unwrap(schema: z.core.$ZodType): z.core.$ZodType {
  const def = schema._zod.def as z.core.$ZodTypeDef & {
    innerType?: z.core.$ZodType;
    out?: z.core.$ZodType;
  };
  const inner = def.innerType ?? (def.type === 'pipe' ? def.out : undefined);
  return inner === undefined ? schema : unwrap(inner);
}

function shapeOf(schema: z.core.$ZodType): Record<string, z.core.$ZodType> {
  const def = unwrap(schema)._zod.def as z.core.$ZodTypeDef & {
    shape?: Record<string, z.core.$ZodType>;
  };
  return def.shape ?? {};
}

function keysOf(schema: z.core.$ZodType | undefined): string[] {
  return schema === undefined ? [] : Object.keys(shapeOf(schema));
}

/** Of a record, whose keys are the user's own, every key has the schema of its values. */
function schemaAt(schema: z.core.$ZodType, path: Path): z.core.$ZodType | undefined {
  let current: z.core.$ZodType | undefined = schema;
  for (const key of path) {
    if (current === undefined) return undefined;
    const { valueType } = unwrap(current)._zod.def as { valueType?: z.core.$ZodType };
    current = valueType ?? shapeOf(current)[String(key)];
  }
  return current;
}

function allPaths(schema: z.core.$ZodType, prefix: string[]): string[][] {
  return Object.entries(shapeOf(schema)).flatMap(([key, child]) => [
    [...prefix, key],
    ...allPaths(child, [...prefix, key]),
  ]);
}
