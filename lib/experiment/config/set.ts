import { ConfigError } from '../errors.js';
import { expandEnvironment } from './environment.js';
import { type Layer, merge } from './layer.js';
import { resolvePaths } from './paths.js';
import { isForbidden, parseText, pathKey } from './read.js';
import { layoutSchema } from './schema.js';
import { childOf, defaultOf, expandShortForms, isRecord, type Schema, takesNull } from './shape.js';

type Holder = Record<string, unknown> | unknown[];

/**
 * Applies `a.b.c=value` to a layer, in place. The value is read as YAML, so numbers and lists are
 * themselves; `null` takes the key back to its default; a number names an entry of a list. What is
 * missing on the way there starts from its default, and short forms are written out. Paths are
 * relative to the current folder.
 *
 * @throws ConfigError M3L_CONFIG_SET, M3L_CONFIG_ENVIRONMENT
 */
export function applySet(layer: Layer, set: string): void {
  const place = `--set ${set}`;
  const { path, value } = parseSet(set, place);
  let holder: Holder = layer.values;
  let schema: Schema | undefined = layoutSchema;
  for (const [depth, part] of path.slice(0, -1).entries()) {
    schema = childOf(schema, part);
    const at = path.slice(0, depth + 1).join('.');
    const child: unknown =
      get(holder, part, at, place) ?? expandShortForms(defaultOf(schema) ?? {}, schema);
    if (!isRecord(child) && !Array.isArray(child)) {
      throw refused(place, `${at} is ${JSON.stringify(child)}, which has no keys of its own.`);
    }
    put(holder, part, child);
    holder = child;
  }
  const last = path.at(-1)!;
  schema = childOf(schema, last);
  get(holder, last, path.join('.'), place);
  const remove = value === null && !takesNull(schema) && !Array.isArray(holder);
  if (remove) delete (holder as Record<string, unknown>)[last];
  else {
    const whole = isRecord(value) ? merge({}, value, schema) : value;
    put(holder, last, resolvePaths(expandShortForms(whole, schema), schema, '.', true));
  }
  forget(layer.places, path);
  layer.places.set(pathKey(path), place);
}

function parseSet(set: string, place: string): { path: string[]; value: unknown } {
  const equals = set.indexOf('=');
  const path = set.slice(0, equals).trim().split('.');
  if (equals < 1 || path.some((part) => part === '')) {
    throw refused(place, 'expected key.path=value, for example --set framework.name=m3l');
  }
  const forbidden = path.find(isForbidden);
  if (forbidden !== undefined) throw refused(place, `'${forbidden}' cannot be a key.`);
  let parsed: unknown;
  try {
    parsed = parseText(set.slice(equals + 1), 'value').value;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw refused(place, error.message.replace(/^value(:1)?: /, 'the value '));
  }
  return { path, value: expandEnvironment(parsed, place) };
}

function get(holder: Holder, key: string, at: string, place: string): unknown {
  if (!Array.isArray(holder)) return holder[key];
  if (/^\d+$/.test(key) && Number(key) < holder.length) return holder[Number(key)];
  throw refused(
    place,
    `${at} is no entry of a list of ${holder.length}: expected ${holder.length === 0 ? 'the list itself' : `a number from 0 to ${holder.length - 1}`}.`,
  );
}

function put(holder: Holder, key: string, value: unknown): void {
  if (Array.isArray(holder)) holder[Number(key)] = value;
  else holder[key] = value;
}

/** What was written below a key is written no more. */
function forget(places: Map<string, string>, path: readonly string[]): void {
  const below = `${pathKey(path)}\0`;
  for (const key of places.keys()) if (key.startsWith(below)) places.delete(key);
}

function refused(place: string, message: string): ConfigError {
  return new ConfigError('M3L_CONFIG_SET', `${place}: ${message}`);
}
