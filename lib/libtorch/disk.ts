import { existsSync, statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import { LibtorchInstallError, size } from './errors.js';

/** Bytes that may still be written below a folder, which need not be there yet. */
export function freeBytes(folder: string): number {
  let place = folder;
  while (!existsSync(place)) place = dirname(place);
  const { bavail, bsize } = statfsSync(place);
  return bavail * bsize;
}

/**
 * Refuses what does not fit before any of it is written.
 * @throws LibtorchInstallError M3L_LIBTORCH_DISK
 */
export function requireSpace(folder: string, needed: number, what: string): void {
  const free = freeBytes(folder);
  if (needed <= free) return;
  throw new LibtorchInstallError(
    'M3L_LIBTORCH_DISK',
    `${what} needs ${size(needed)}, and ${size(free)} are free in ${folder}. Free some space, or set M3L_HOME to a folder on a larger disk.`,
  );
}
