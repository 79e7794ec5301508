/** Looking into the raw folder of a data set. */

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { isFile, statIfThere } from '../../torch/stat.js';
import { DataError } from '../errors.js';

export function isFolder(path: string): boolean {
  return statIfThere(path)?.isDirectory() ?? false;
}

/** The names in a folder, in order; none where it is not there. Hidden ones are left out. */
export function namesIn(folder: string): string[] {
  if (!isFolder(folder)) return [];
  return readdirSync(folder)
    .filter((name) => !name.startsWith('.'))
    .sort();
}

/** All files below a folder, relative to it, with forward slashes, in order. */
export function filesBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .filter(({ name }) => !name.startsWith('.'))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap(({ name }) => {
      const path = join(folder, name);
      if (isFolder(path)) return filesBelow(path).map((file) => `${name}/${file}`);
      return isFile(path) ? [name] : [];
    });
}

/** The first of some files or folders that is there. */
export function firstThere(folder: string, candidates: readonly string[]): string | null {
  const found = candidates.find((name) => statIfThere(join(folder, name)) !== undefined);
  return found === undefined ? null : join(folder, found);
}

/** The error of a raw folder that is not what it should be. */
export function notRaw(
  raw: string,
  found: string,
  { title, layout }: { title: string; layout: readonly string[] },
): DataError {
  return new DataError(
    'M3L_DATA_SET_RAW',
    `${raw}: found ${found}, expected ${title} as it is downloaded:\n` +
      `${layout.map((line) => `  ${line}`).join('\n')}\n` +
      'Give the folder that holds these.',
  );
}

/** What a folder that should hold something else does hold, in a few words. */
export function whatIsIn(folder: string): string {
  const names = namesIn(folder);
  if (names.length === 0) return isFolder(folder) ? 'an empty folder' : 'no folder';
  const more = names.length > 4 ? ` and ${names.length - 4} more` : '';
  return `${names.slice(0, 4).join(', ')}${more}`;
}
