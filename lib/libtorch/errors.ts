import { resolve } from 'node:path';
import { isSystemError, M3lError } from '../torch/errors.js';

/** An installation that was refused or failed; nothing of it is left where a search looks. */
export class LibtorchInstallError extends M3lError {}

/** What the system refused while an install read or wrote, as an error with a mend; all else as it is. */
export function cacheProblem(error: unknown, path: string): unknown {
  const inner =
    error instanceof M3lError && error.code === 'M3L_WRITE_FAILED' ? error.cause : error;
  if (!isSystemError(inner) || !/^E[A-Z\d]+$/.test(inner.code ?? '')) return error;
  if (inner.path !== undefined && !isAlong(resolve(inner.path), resolve(path))) {
    return new LibtorchInstallError(
      'M3L_LIBTORCH_SOURCE',
      `${inner.path} cannot be read: ${inner.message}. Mend that, or name another with --from.`,
      { cause: error },
    );
  }
  if (inner.code === 'ENOSPC' || inner.code === 'EDQUOT') {
    return new LibtorchInstallError(
      'M3L_LIBTORCH_DISK',
      `The disk of ${path} is full (${inner.code}). Free some space, or set M3L_HOME to a folder on a larger disk, and run it again: what was downloaded is kept.`,
      { cause: error },
    );
  }
  return new LibtorchInstallError(
    'M3L_LIBTORCH_CACHE',
    `The cache ${path} cannot be written to: ${inner.message}. Make it writable, or set M3L_HOME to a folder that is.`,
    { cause: error },
  );
}

/** Thrown where a signal asked to stop. */
export function interrupted(): LibtorchInstallError {
  return new LibtorchInstallError(
    'M3L_INTERRUPTED',
    'Interrupted. What was downloaded is kept: the same command goes on from there.',
  );
}

/** Bytes as `117 MB` or `4.2 GB`, in powers of ten as disks and downloads are sold. */
export function size(bytes: number): string {
  if (bytes < 1e3) return `${bytes} bytes`;
  if (bytes < 1e6) return `${Math.round(bytes / 1e3)} kB`;
  return bytes < 1e9 ? `${Math.round(bytes / 1e6)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}

/** Whether one of two paths lies in the other: a folder above a cache may be what cannot be written. */
function isAlong(one: string, other: string): boolean {
  return one.startsWith(other) || other.startsWith(one);
}
