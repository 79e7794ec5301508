import { existsSync } from 'node:fs';
import { resolve } from 'node:path';

const root = process.env.M3L_SHARED ?? resolve(import.meta.dirname, '../../../shared');

/** The path of a file of the shared material, or null, saying so, where it is absent. */
export function shared(path: string): string | null {
  const file = resolve(root, path);
  if (existsSync(file)) return file;
  console.warn(`skipped: ${file} is not there (set M3L_SHARED to the shared folder)`);
  return null;
}
