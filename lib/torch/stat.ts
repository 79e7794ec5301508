import { type Stats, statSync } from 'node:fs';

/**
 * What the file system says of `path`; undefined where nothing is there. `throwIfNoEntry: false` would
 * not do: in an archive Electron throws all the same.
 */
export function statIfThere(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Whether a file is there, itself or by way of a link. */
export function isFile(path: string): boolean {
  return statIfThere(path)?.isFile() ?? false;
}
