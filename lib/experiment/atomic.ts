import { mkdirSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { syncFolder, writeAtomically } from '../torch/atomic-write.js';

/**
 * Writes a file so that, whatever happens (a kill, a full disk, a power cut), either the old or
 * the new content is there, whole.
 * @throws M3lError M3L_WRITE_FAILED
 */
export function writeFileAtomic(path: string, content: string | Uint8Array): void {
  writeAtomically(path, [typeof content === 'string' ? Buffer.from(content) : content]);
}

/**
 * Fills a folder under a temporary name and renames it into place, replacing what was there. If
 * `fill` throws, nothing of it stays.
 */
export function writeFolderAtomic(path: string, fill: (temporary: string) => void): void {
  const temporary = join(dirname(path), `.${basename(path)}.tmp-${process.pid}`);
  rmSync(temporary, { recursive: true, force: true });
  try {
    mkdirSync(temporary, { recursive: true });
    fill(temporary);
    syncFolder(temporary);
    // A folder cannot be renamed over another that holds files.
    rmSync(path, { recursive: true, force: true });
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { recursive: true, force: true });
    throw error;
  }
  syncFolder(dirname(path));
}
