import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { pinnedWheels } from '../../dist/libtorch/wheels.js';
import { wheel } from './fake-wheel.js';
import { serve } from './server.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'm3l-wheels-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('pinned wheels', () => {
  const bytes = wheel();
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const pinned = (url: string) => ({
    file: 'torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl',
    size: bytes.length,
    sha256,
    url,
  });
  const options = (beside: string | null = null) => ({
    store: join(folder, 'home/incomplete/wheels'),
    beside,
    reporter: { log: () => {} },
    patience: { stall: 20_000, attempts: 2, pause: 1 },
  });

  it('come from a folder of the user’s first, then from where they are published', async () => {
    const server = await serve(bytes);
    try {
      const wheels = [pinned(server.url)];
      const path = join(folder, wheels[0]!.file);
      writeFileSync(path, bytes);
      expect(await pinnedWheels(wheels, options(folder))).toEqual([path]);
      const [fetched] = await pinnedWheels(wheels, options());
      expect(readFileSync(fetched!).equals(bytes)).toBe(true);
      // It is kept until the install is done: another call fetches nothing.
      await pinnedWheels(wheels, options());
      expect(server.requests).toHaveLength(1);
    } finally {
      await server.close();
    }
  });

  it.each([
    ['with a pip that finds none', process.env.PATH],
    ['without Python', '/nowhere'],
  ])('that no one has are told with each way that was tried, %s', async (_, path) => {
    const server = await serve(bytes, { status: 404 });
    const { PIP_FIND_LINKS, PIP_CONFIG_FILE, PIP_NO_INDEX, PATH } = process.env;
    Object.assign(process.env, {
      PIP_FIND_LINKS: folder,
      PIP_CONFIG_FILE: '/dev/null',
      PIP_NO_INDEX: '1',
      PATH: path,
    });
    try {
      const outcome = pinnedWheels([pinned(server.url)], options());
      await expect(outcome).rejects.toMatchObject({ code: 'M3L_LIBTORCH_NETWORK' });
      await expect(outcome).rejects.toThrow(
        /Tried:\n.*answered 404.*\n.*pip: \w.*\n.*--from FOLDER/,
      );
    } finally {
      const before = { PIP_FIND_LINKS, PIP_CONFIG_FILE, PIP_NO_INDEX, PATH };
      for (const [name, value] of Object.entries(before)) {
        if (value === undefined) delete process.env[name];
        else process.env[name] = value;
      }
      await server.close();
    }
  });
});
