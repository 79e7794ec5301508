import { constants, createReadStream, fstatSync, openSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { EvaluationError } from '../../evaluation/errors.js';

/** Bytes that are being read, and whether they wait for who reads them, as those of a file do. */
export interface Source {
  readonly input: Readable;
  readonly waits: boolean;
}

/** Bytes that are read of a file at once, where its frames are not larger. */
const LEAST_BYTES = 1 << 16;

/**
 * Opens a file, a named pipe, a device, or `-`, the standard input.
 * @param frameBytes those of a frame, where all have the same size: as many are read at once
 * @throws EvaluationError M3L_STREAM_SOURCE
 */
export async function openSource(
  name: string,
  path: string,
  frameBytes = LEAST_BYTES,
): Promise<Source> {
  if (path === '-') return { input: process.stdin, waits: fstatSync(0).isFile() };
  try {
    const found = await stat(path);
    if (found.isDirectory()) throw new Error('it is a folder');
    if (!found.isFIFO()) {
      const highWaterMark = Math.max(LEAST_BYTES, frameBytes);
      return { input: createReadStream(path, { highWaterMark }), waits: found.isFile() };
    }
    // One that nobody writes yet must hold nothing: neither a thread nor the end of the program.
    const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const input = new Socket({ fd, readable: true, writable: false });
    return { input, waits: false };
  } catch (error) {
    throw new EvaluationError(
      'M3L_STREAM_SOURCE',
      `${name}: ${path} cannot be read (${(error as Error).message}), expected a file, a named pipe, or - for the standard input.`,
      { cause: error },
    );
  }
}
