import { dirname, resolve } from 'node:path';
import { ConfigError } from '../errors.js';
import { expandEnvironment } from './environment.js';
import { configFile } from './packaged.js';
import { resolvePaths } from './paths.js';
import { parseText, pathKey, readText } from './read.js';
import { layoutSchema } from './schema.js';
import { childOf, expandShortForms, isRecord, type Schema, takesNull } from './shape.js';

/** Keys and values of one or several files, and where each was written (`file:line`), by `pathKey`. */
export interface Layer {
  values: Record<string, unknown>;
  places: Map<string, string>;
}

/** How many files one configuration may come from. */
const MOST_FILES = 32;

/** The files on the way to the one that is read, outermost first, and how many were read in all. */
interface Reading {
  chain: readonly string[];
  total: { files: number };
}

/**
 * Reads a configuration file and the files that it extends.
 *
 * `extends: base.yaml`, or a list of files, relative to the file or by the names of the package's
 * (`paper`, `data/rooms`): of each key the last that was written counts, the later file's in the list and the file's own last of all. Objects are laid over
 * each other key by key, short forms written out before (`framework: m3l` over `framework: { name:
 * supervised, lambda: 3 }` keeps lambda); lists are replaced. `null` takes a key back to its default.
 * A data set is such a file, with `data:` in it (configs/data); `name` is each file's own.
 *
 * @throws ConfigError M3L_CONFIG_MISSING, M3L_CONFIG_SYNTAX, M3L_CONFIG_EXTENDS,
 *   M3L_CONFIG_ENVIRONMENT
 */
export function readLayer(
  file: string,
  { chain, total }: Reading = { chain: [], total: { files: 0 } },
): Layer {
  const path = resolve(file);
  total.files++;
  const { value, lines } = parseText(readText(file), file);
  const raw = value ?? {};
  if (!isRecord(raw)) {
    throw new ConfigError(
      'M3L_CONFIG_SYNTAX',
      `${file} holds ${Array.isArray(raw) ? 'a list' : `'${String(raw)}'`}, expected keys and values such as 'framework: m3l'.`,
    );
  }
  const { extends: named, ...own } = expandEnvironment(raw, file) as Record<string, unknown>;
  const place = `${file}:${lines.get(pathKey(['extends']))}`;
  const bases = basesOf(named, place).map((base) => {
    const reading = { chain: [...chain, path], total };
    const layer = readBase(configFile(base, dirname(file)), reading, place);
    delete layer.values.name;
    return layer;
  });
  const values = resolvePaths(expandShortForms(own, layoutSchema), layoutSchema, dirname(path));
  const places = new Map([...lines].map(([key, at]) => [key, `${file}:${at}`]));
  return [...bases, { values: values as Record<string, unknown>, places }].reduce(layOver, {
    values: {},
    places: new Map(),
  });
}

function readBase(file: string, reading: Reading, place: string): Layer {
  checkReading(reading, resolve(file), place);
  try {
    return readLayer(file, reading);
  } catch (error) {
    if (!(error instanceof ConfigError) || error.code !== 'M3L_CONFIG_MISSING') throw error;
    throw new ConfigError(
      'M3L_CONFIG_EXTENDS',
      `${place}: extends: ${error.message} Paths are relative to the file that extends.`,
    );
  }
}

function basesOf(named: unknown, place: string): string[] {
  if (named === undefined || named === null) return [];
  const bases = Array.isArray(named) ? named : [named];
  if (bases.every((base) => typeof base === 'string' && base !== '')) return bases;
  throw new ConfigError(
    'M3L_CONFIG_EXTENDS',
    `${place}: extends: found ${JSON.stringify(named)}, expected a file or a list of files.`,
  );
}

function checkReading({ chain, total }: Reading, file: string, place: string): void {
  const problem = chain.includes(file)
    ? `goes in a circle: ${[...chain.slice(chain.indexOf(file)), file].join(' → ')}.`
    : total.files >= MOST_FILES
      ? `reads more than ${MOST_FILES} files.`
      : null;
  if (problem !== null) throw new ConfigError('M3L_CONFIG_EXTENDS', `${place}: extends ${problem}`);
}

function layOver(below: Layer, above: Layer): Layer {
  return {
    values: merge(below.values, above.values, layoutSchema),
    places: new Map([...below.places, ...above.places]),
  };
}

/** `above` laid over `below`, key by key; null takes a key away where it is no value of it. */
export function merge(
  below: Record<string, unknown>,
  above: Record<string, unknown>,
  schema: Schema | undefined,
): Record<string, unknown> {
  const merged = { ...below };
  for (const [key, value] of Object.entries(above)) {
    const child = childOf(schema, key);
    if (value === null && !takesNull(child)) delete merged[key];
    else if (isRecord(value)) {
      merged[key] = merge(isRecord(merged[key]) ? merged[key] : {}, value, child);
    } else merged[key] = value;
  }
  return merged;
}
