/** Opening image files: regular ones alone, and no more of them than is needed. */

import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { DataError } from './errors.js';
import type { ImageFile } from './readers/reader.js';

/** A file in memory. */
export interface ImageBytes extends ImageFile {
  readonly bytes: Buffer;
}

const START_BYTES = 65536;

/** What a Buffer holds; greater files are refused before they are read. */
const MAX_BYTES = 2 ** 31 - 1;

/** Uses a file of which pieces are read as they are asked for. Throws as `readWhole`. */
export async function openImage<T>(name: string, use: (file: ImageFile) => Promise<T>): Promise<T> {
  const { handle, size } = await openRegular(name);
  try {
    const start = await readAt(handle, 0, Math.min(size, START_BYTES));
    const read = async (position: number, length: number) => {
      const end = Math.min(size, position + length);
      if (end <= start.length) return start.subarray(position, end);
      return readAt(handle, position, Math.max(0, end - position));
    };
    return await use({ name, size, start, read });
  } finally {
    await handle.close();
  }
}

/** @throws DataError M3L_IMAGE_MISSING, M3L_IMAGE_FORMAT */
export async function readWhole(name: string): Promise<ImageBytes> {
  const { handle, size } = await openRegular(name);
  try {
    const bytes = await readAt(handle, 0, size);
    return wholeOf({ name, bytes });
  } finally {
    await handle.close();
  }
}

/** A file whose bytes are there. */
export function wholeOf({ name, bytes: given }: { name: string; bytes: Uint8Array }): ImageBytes {
  const bytes = Buffer.from(given.buffer, given.byteOffset, given.byteLength);
  const read = async (position: number, length: number) =>
    bytes.subarray(position, position + length);
  return { name, size: bytes.length, start: bytes.subarray(0, START_BYTES), read, bytes };
}

/** Does not wait for a FIFO's writer, nor read a device, which may never end. */
async function openRegular(name: string): Promise<{ handle: FileHandle; size: number }> {
  let handle: FileHandle;
  try {
    handle = await open(name, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    throw missing(name, (error as NodeJS.ErrnoException).code ?? String(error), error);
  }
  try {
    const stat = await handle.stat();
    if (stat.isDirectory()) throw missing(name, 'it is a folder');
    if (!stat.isFile()) throw missing(name, 'it is a device or a pipe, not a regular file');
    if (stat.size <= MAX_BYTES) return { handle, size: stat.size };
    throw new DataError(
      'M3L_IMAGE_FORMAT',
      `${name}: found ${stat.size} bytes, expected at most ${MAX_BYTES}. Cut it into smaller images.`,
    );
  } catch (error) {
    await handle.close();
    throw error;
  }
}

function missing(name: string, reason: string, cause?: unknown): DataError {
  return new DataError(
    'M3L_IMAGE_MISSING',
    `${name.replaceAll('\0', '\\0')}: cannot be read (${reason}), expected an image file. ` +
      'Check the path; of a list also the folder that its paths are relative to, data.root.',
    { cause },
  );
}

/** `length` bytes from `position`; fewer where the file has become shorter. */
async function readAt(handle: FileHandle, position: number, length: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafeSlow(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await handle.read(bytes, filled, length - filled, position + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return bytes.subarray(0, filled);
}
