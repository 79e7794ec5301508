import { type Stats, statSync } from 'node:fs';

/** No such name, a name below a file, one that is too long, one that can be none (with a NUL). */
const NOTHING = new Set<string | undefined>([
  ...['ENOENT', 'ENOTDIR', 'ENAMETOOLONG', 'ERR_INVALID_ARG_VALUE'],
]);

/**
 * What the file system says of `path`; undefined where nothing is there. `throwIfNoEntry: false` would
 * not do: in an archive Electron throws all the same.
 */
export function statIfThere(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch (error) {
    if (NOTHING.has((error as NodeJS.ErrnoException).code)) return undefined;
    throw error;
  }
}

/** Whether a file is there, itself or by way of a link. */
export function isFile(path: string): boolean {
  return statIfThere(path)?.isFile() ?? false;
}
