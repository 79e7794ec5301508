import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { chosenName, removeLibtorch, useLibtorch } from '../../dist/libtorch/cache.js';
import { torchFiles, unpacked } from './fake-wheel.js';

const folder = mkdtempSync(join(tmpdir(), 'm3l-cache-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const home = join(folder, 'home');

beforeAll(() => {
  unpacked(join(home, 'libtorch/2.13.0-cpu'), torchFiles());
  mkdirSync(join(folder, 'victim'));
});

describe('a name of the cache', () => {
  it.each([
    '../libtorch',
    '../../victim',
    '2.13.0-cpu/..',
    '2.13.0-cpu/../2.13.0-cpu',
    './2.13.0-cpu',
    '.',
    '..',
    '',
    '/',
    join(folder, 'victim'),
    '2.13.0-cpu\0',
    'use',
  ])('is never a path: %j', (name) => {
    for (const act of [removeLibtorch, useLibtorch]) {
      expect(() => act(home, name)).toThrow(
        expect.objectContaining({
          code: 'M3L_LIBTORCH_NAME',
          message: expect.stringMatching(/There are: 2\.13\.0-cpu/),
        }),
      );
    }
    expect(existsSync(join(folder, 'victim'))).toBe(true);
    expect(existsSync(join(home, 'libtorch/2.13.0-cpu/torch/lib/libtorch.so'))).toBe(true);
    expect(chosenName(home)).toBeNull();
  });

  it('is written for the search to find, and gone with its install', () => {
    useLibtorch(home, '2.13.0-cpu');
    expect(readFileSync(join(home, 'libtorch/use'), 'utf8')).toBe('2.13.0-cpu\n');
    expect(removeLibtorch(home, '2.13.0-cpu')).toEqual({ wasChosen: true });
    expect(existsSync(join(home, 'libtorch/2.13.0-cpu'))).toBe(false);
    expect(chosenName(home)).toBeNull();
    expect(() => useLibtorch(home, '2.13.0-cpu')).toThrow(
      /There is none yet: m3l libtorch install/,
    );
  });

  it('cannot be written where the cache is a file', () => {
    const blocked = join(folder, 'blocked');
    writeFileSync(blocked, '');
    expect(() => useLibtorch(blocked, 'auto')).toThrow(
      expect.objectContaining({ code: 'M3L_LIBTORCH_CACHE' }),
    );
  });
});
