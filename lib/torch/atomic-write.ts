import { randomBytes } from 'node:crypto';
import {
  closeSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { isSystemError, M3lError } from './errors.js';
import { requireFunction, requireText } from './require.js';
import { statIfThere } from './stat.js';

/**
 * Writes a file so that at every moment the path holds the whole old one or the whole new one: into a
 * temporary file beside it, to the disk, then renamed. On a failure (a full disk) the old file stays,
 * the temporary one goes, and M3L_WRITE_FAILED says what happened.
 */
export function writeAtomically(path: string, chunks: Iterable<Uint8Array>): void {
  const target = resolve(path);
  const suffix = `${process.pid}-${randomBytes(4).toString('hex')}`;
  const temporary = join(dirname(target), `.${basename(target)}.${suffix}.tmp`);
  try {
    const file = openSync(temporary, 'wx');
    try {
      for (const chunk of chunks) writeFully(file, chunk);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, target);
    syncFolder(dirname(target));
  } catch (error) {
    discard(temporary);
    throw notWritten(target, error, ' What the path held before is unchanged.');
  }
}

/** What the system refused has a code of ours; all else stays what it is. */
function notWritten(path: string, error: unknown, then = ''): unknown {
  if (!isSystemError(error)) return error;
  return new M3lError(
    'M3L_WRITE_FAILED',
    `${path.replaceAll('\0', '\\0')} was not written: ${error.message}.${then}`,
    { cause: error },
  );
}

/** What the failure was is told, not that of the tidying up. */
function discard(temporary: string): void {
  try {
    rmSync(temporary, { recursive: true, force: true });
  } catch {
    // A name too long for a file, or a disk that went away: nothing is there to remove.
  }
}

/**
 * Makes a folder and those that it lies in.
 * @throws M3lError M3L_WRITE_FAILED
 */
export function makeFolder(path: string): void {
  try {
    makeAll(resolve(path));
  } catch (error) {
    throw notWritten(path, error, ' Give a place that can be written to.');
  }
}

/** As `mkdirSync` with `recursive`, which never returns where a parent takes no folders (/proc). */
function makeAll(path: string): void {
  const isThere = () => statIfThere(path)?.isDirectory() ?? false;
  if (isThere()) return;
  makeAll(dirname(path));
  try {
    mkdirSync(path);
  } catch (error) {
    // Another process may have made it meanwhile.
    if (!isThere()) throw error;
  }
}

function writeFully(file: number, chunk: Uint8Array): void {
  // One write takes at most 2 GiB, and may take less than it is given.
  const most = 1 << 30;
  for (let at = 0; at < chunk.byteLength; ) {
    at += writeSync(file, chunk, at, Math.min(most, chunk.byteLength - at));
  }
}

/** Makes a rename or a new name in this folder durable. */
export function syncFolder(folder: string): void {
  const handle = openSync(folder, 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

/** Appends bytes to an open file whole, or leaves it as it was. */
export function appendWhole(file: number, bytes: Uint8Array): void {
  const { size } = fstatSync(file);
  try {
    for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
  } catch (error) {
    ftruncateSync(file, size);
    throw error;
  }
}

/**
 * Writes a file so that, whatever happens (a kill, a full disk, a power cut), either the old or
 * the new content is there, whole.
 * @throws M3lError M3L_WRITE_FAILED
 */
export function writeFileAtomic(path: string, content: string | Uint8Array): void {
  requireText(path, 'writeFileAtomic', 'the path of a file');
  if (!ArrayBuffer.isView(content)) requireText(content, 'writeFileAtomic', 'text or bytes');

  writeAtomically(path, [typeof content === 'string' ? Buffer.from(content) : content]);
}

/**
 * Fills a folder under a temporary name and renames it into place, replacing what was there. If
 * `fill` throws, nothing of it stays.
 * @throws M3lError M3L_WRITE_FAILED; what `fill` throws
 */
export function writeFolderAtomic(path: string, fill: (temporary: string) => void): void {
  requireText(path, 'writeFolderAtomic', 'the path of a folder');
  requireFunction(fill, 'writeFolderAtomic');

  const temporary = join(dirname(path), `.${basename(path)}.tmp-${process.pid}`);
  try {
    rmSync(temporary, { recursive: true, force: true });
    makeFolder(temporary);
    fill(temporary);
    syncFolder(temporary);
    // A folder cannot be renamed over another that holds files.
    rmSync(path, { recursive: true, force: true });
    renameSync(temporary, path);
    syncFolder(dirname(path));
  } catch (error) {
    discard(temporary);
    throw notWritten(path, error);
  }
}
