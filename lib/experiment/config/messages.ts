import type { z } from 'zod';
import { describe } from '../../torch/errors.js';
import { ConfigError } from '../errors.js';
import { nearest } from '../nearest.js';
import { type ConfigSchema, optionOwners } from './schema.js';
import { allPaths, keysOf, metaOf, schemaAt } from './shape.js';

type Path = readonly PropertyKey[];
type Issue = z.core.$ZodIssue;

/**
 * One error for everything that is wrong with a configuration: a line each, with the place, the
 * value found, what is expected, and the nearest known key or value.
 *
 * @param schema what it was checked with
 * @param place where a key was written, for example `file:line`
 */
export function explain(
  error: z.ZodError,
  schema: ConfigSchema,
  raw: unknown,
  place: (path: Path) => string,
): ConfigError {
  const messages: string[] = [];
  let unknownKey = false;
  const tell = (path: Path, message: string) => {
    messages.push(`${place(path)}: ${message}`);
  };
  for (const issue of error.issues) {
    if (issue.code === 'unrecognized_keys') {
      unknownKey = true;
      for (const key of issue.keys) tell([...issue.path, key], unknown(schema, issue.path, key));
    } else {
      tell(issue.path, invalid(schema, issue, valueAt(raw, issue.path)));
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
  if (parent.length === 0) {
    if (key === 'extends') return "'extends' has a meaning in configuration files alone.";
    here.push('extends');
  }
  const near = nearest(key, here);
  if (near === null && key.includes('.')) {
    const nested = key.split('.').reduceRight((value, part) => `{ ${part}: ${value} }`, '…');
    return `unknown key '${full}'; dots are for --set, in a file write ${nested.slice(2, -2)}.`;
  }
  if (near !== null) return `unknown key '${full}'; did you mean '${dotted([...parent, near])}'?`;
  const elsewhere = allPaths(schema).find((path) => path.at(-1) === key);
  if (elsewhere !== undefined) {
    return `unknown key '${full}'; did you mean '${dotted(elsewhere)}'?`;
  }
  const place = parent.length === 0 ? 'a configuration' : `'${dotted(parent)}'`;
  return `unknown key '${full}'; ${place} knows ${here.join(', ')}.`;
}

function invalid(schema: ConfigSchema, issue: Issue, found: unknown): string {
  const key = dotted(issue.path);
  const foundText = found === undefined ? 'nothing' : show(found);
  const { expects } = metaOf(schemaAt(schema, issue.path));
  switch (issue.code) {
    case 'invalid_value': {
      const known = issue.values.map(String);
      const near = typeof found === 'string' ? nearest(found, known) : null;
      const hint = near === null ? '' : ` Did you mean '${near}'?`;
      return `${key}: found ${foundText}, expected ${listed(known)}.${hint}`;
    }
    case 'invalid_type':
      return `${key}: found ${foundText}, expected ${expects ?? typeText(issue.expected, keysOf(schemaAt(schema, issue.path)))}.`;
    case 'too_small':
      return `${key}: found ${foundText}, expected ${amount(issue.origin, issue.minimum, issue.inclusive === false ? 'more than' : 'at least')}.`;
    case 'too_big':
      return `${key}: found ${foundText}, expected ${amount(issue.origin, issue.maximum, issue.inclusive === false ? 'less than' : 'at most')}.`;
    default:
      return `${key}: found ${foundText}: ${issue.message}.`;
  }
}

function typeText(expected: string, keys: readonly string[]): string {
  const text = EXPECTED[expected] ?? expected;
  return expected === 'object' && keys.length > 0 ? `${text} (${keys.join(', ')})` : text;
}

const EXPECTED: Record<string, string> = {
  int: 'a whole number',
  number: 'a number',
  string: 'text',
  boolean: 'true or false',
  object: 'keys and values',
  record: 'keys and values',
  array: 'a list',
  tuple: 'a list',
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
  // JSON has no NaN and no infinity.
  const text =
    typeof value === 'string'
      ? `'${value}'`
      : typeof value === 'number'
        ? String(value)
        : jsonOf(value);
  return text.length > 80 ? `${text.slice(0, 77)}…` : text;
}

/** Values that come from no file may be none of JSON's. */
function jsonOf(value: unknown): string {
  try {
    return JSON.stringify(value) ?? describe(value);
  } catch {
    return describe(value);
  }
}

function dotted(path: Path): string {
  return path.map(String).join('.');
}

function valueAt(raw: unknown, path: Path): unknown {
  let value = raw;
  for (const key of path) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = (value as Record<PropertyKey, unknown>)[key];
  }
  return value;
}
