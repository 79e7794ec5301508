import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type Config, resolveConfig } from 'm3l/experiment';
import { afterAll, beforeAll } from 'vitest';

/** The least configuration that stands. */
export const ROOMS = 'data: { rooms: { labelled: 2 } }\n';

/** A folder of configurations for the tests of one file. */
export function configFolder() {
  let folder = '';
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'm3l-config-'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const write = (text: string | Uint8Array, name = 'config.yaml') => {
    const file = join(folder, name);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
    return file;
  };
  return {
    path: () => folder,
    write,
    read: (text: string, sets: string[] = []): Config => resolveConfig(write(text), sets),
    /** What a configuration is refused with. */
    refusal: (text: string | Uint8Array, sets: string[] = []) =>
      refusalOf(() => resolveConfig(write(text), sets)),
  };
}

export function refusalOf(work: () => unknown): { code: string; message: string } {
  try {
    work();
  } catch (error) {
    return error as { code: string; message: string };
  }
  throw new Error('it was accepted');
}
