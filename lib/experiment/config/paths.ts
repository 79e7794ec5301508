import { existsSync } from 'node:fs';
import { isAbsolute, resolve } from 'node:path';
import { childOf, isRecord, mapRecord, metaOf, type Schema } from './shape.js';

/**
 * Makes the relative paths of a configuration absolute, those keys that the schema marks as paths.
 *
 * @param folder what files and folders are relative to
 * @param given whether it stands on the command line: a list's path, in a file relative to
 *   `data.root`, is there relative to the current folder where it names a file in it
 */
export function resolvePaths(
  value: unknown,
  schema: Schema | undefined,
  folder: string,
  given = false,
): unknown {
  if (schema === undefined) return value;
  if (typeof value === 'string') {
    const { path, words = [] } = metaOf(schema);
    if (path === undefined || value === '' || isAbsolute(value)) return value;
    if (words.includes(value)) return value;
    const absolute = resolve(folder, value);
    return path === 'file' || (given && existsSync(absolute)) ? absolute : value;
  }
  if (Array.isArray(value)) {
    return value.map((entry, index) => resolvePaths(entry, childOf(schema, index), folder, given));
  }
  if (!isRecord(value)) return value;
  return mapRecord(value, (entry, key) => resolvePaths(entry, childOf(schema, key), folder, given));
}
