import { open, stat } from 'node:fs/promises';

/** What a file says of itself; null where it is not there, or not to be looked at. */
export async function statOf(path: string) {
  try {
    return await stat(path);
  } catch {
    return null;
  }
}

/**
 * The text of a file, or of its last bytes.
 * @returns null where there is none
 * @throws Error where it is longer than `most`, or is no file
 */
export async function readText(
  path: string,
  { most = 1 << 20, last = false }: { most?: number; last?: boolean } = {},
): Promise<string | null> {
  const found = await statOf(path);
  if (found === null) return null;
  // Reading a pipe would wait for whoever writes to it.
  if (!found.isFile()) throw new Error(`${path} is no file`);
  if (found.size > most && !last) {
    throw new Error(`${path} has ${found.size} bytes, expected at most ${most}`);
  }
  const file = await open(path, 'r');
  try {
    const length = Math.min(most, found.size);
    const bytes = Buffer.alloc(length);
    const { bytesRead } = await file.read(bytes, 0, length, found.size - length);
    return bytes.toString('utf8', 0, bytesRead);
  } finally {
    await file.close();
  }
}
