import { describe, expect, it } from 'vitest';
import { ByteCache } from '../../dist/view/byte-cache.js';

describe('ByteCache', () => {
  const of = (most: number) => new ByteCache<Uint8Array>(most, ({ length }) => length);

  it('makes a value once for all who ask at the same time', async () => {
    const cache = of(10);
    let made = 0;
    const make = async () => {
      made += 1;
      return new Uint8Array(4);
    };
    const [one, other] = await Promise.all([cache.get('a', make), cache.get('a', make)]);
    expect(one).toBe(other);
    expect(await cache.get('a', make)).toBe(one);
    expect(made).toBe(1);
  });

  it('drops what was used longest ago, and keeps nothing that is too large', async () => {
    const cache = of(10);
    const made: string[] = [];
    const get = (key: string, length = 4) =>
      cache.get(key, async () => {
        made.push(key);
        return new Uint8Array(length);
      });
    for (const key of ['a', 'b', 'a', 'c', 'a', 'b']) await get(key);
    expect(made).toEqual(['a', 'b', 'c', 'b']);
    await get('large', 11);
    expect(cache.bytes).toBe(8);
  });

  it('keeps no failure', async () => {
    const cache = of(10);
    await expect(cache.get('a', () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(await cache.get('a', async () => new Uint8Array(1))).toHaveLength(1);
  });
});
