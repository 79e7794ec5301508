import { readFileSync } from 'node:fs';
import { isFile } from '../../torch/stat.js';
import { DataError } from '../errors.js';

/**
 * Makes sure that no file that is there says anything else than what is to be written, or may be replaced.
 *
 * @param texts by file
 * @throws DataError M3L_LIST_THERE
 */
export function requireReplaceable(texts: ReadonlyMap<string, string>, force: boolean): void {
  for (const [file, text] of texts) {
    if (force || !isFile(file) || readFileSync(file, 'utf8') === text) continue;
    throw new DataError(
      'M3L_LIST_THERE',
      `${file}: found another one there, expected none. Give another folder with --out, or replace ` +
        'what is there with --force.',
    );
  }
}
