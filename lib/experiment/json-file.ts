import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';

/** Longer than any file that runs write as JSON: read no further. */
const LONGEST = 16 << 20;

/**
 * Reads a JSON file of a run.
 * @throws Error where it is no file, is longer than 16 MiB or is not JSON
 */
export function readJsonFile(path: string): unknown {
  // Opening a pipe would wait for whoever writes to it.
  const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const status = fstatSync(file);
    if (!status.isFile()) throw new Error(`${path} is no file`);
    if (status.size > LONGEST) {
      throw new Error(`${path} has ${status.size} bytes, expected at most ${LONGEST}`);
    }
    return JSON.parse(readFileSync(file, 'utf8'));
  } finally {
    closeSync(file);
  }
}
