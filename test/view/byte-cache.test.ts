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

  it('gives up what nobody waits for any more, and begins anew for who asks then', async () => {
    const cache = of(10);
    const signals: AbortSignal[] = [];
    const make = (signal: AbortSignal) => {
      signals.push(signal);
      return new Promise<Uint8Array>((resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason));
        setTimeout(() => resolve(new Uint8Array(4)), 50);
      });
    };
    const [one, other] = [new AbortController(), new AbortController()];
    const first = cache.get('a', make, one.signal);
    const second = cache.get('a', make, other.signal);
    one.abort();
    expect(signals[0]!.aborted).toBe(false);
    other.abort(new Error('gone'));
    expect(signals[0]!.aborted).toBe(true);
    await expect(first).rejects.toThrow('gone');
    await expect(second).rejects.toThrow('gone');
    expect(await cache.get('a', make)).toHaveLength(4);
    expect(signals).toHaveLength(2);
    // Who gives no signal waits to the end.
    const third = new AbortController();
    const asked = [cache.get('b', make), cache.get('b', make, third.signal)];
    third.abort();
    expect(await Promise.all(asked)).toHaveLength(2);
  });
});
