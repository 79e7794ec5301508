import { torch } from 'm3l';
import { describe, expect, it } from 'vitest';

const int64 = () => torch.tensor([1n, 2n]);

describe('a number that an operator takes as one', () => {
  it('01 is an integer where it is integral, whatever its size and sign', () => {
    torch.scope(() => {
      expect(torch.arange(-0, 3).dtype).toBe('int64');
      expect(int64().mul(-0).dtype).toBe('int64');
      const large = int64().add(2 ** 53 + 2);
      expect(large.dtype).toBe('int64');
      expect(large.toTypedArray()).toEqual(new BigInt64Array([2n ** 53n + 3n, 2n ** 53n + 4n]));
      expect(int64().add(2 ** 63).dtype).toBe('float32');
    });
  });

  it('02 keeps the sign of zero where floats have a use for it', () => {
    torch.scope(() => {
      expect(torch.tensor([1]).mul(-0).item()).toBe(-0);
      expect(torch.full([1], -0).item()).toBe(-0);
    });
  });

  it('03 is a float or complex where torch.scalar says so, by position and by name', () => {
    torch.scope(() => {
      expect(int64().mul(torch.scalar(2)).dtype).toBe('float32');
      expect(int64().add(int64(), { alpha: 1 }).dtype).toBe('int64');
      const chosen = torch.where(torch.tensor([true, false]), torch.scalar(1), torch.scalar(0));
      expect([chosen.dtype, chosen.toArray()]).toEqual(['float32', [1, 0]]);
      const turned = torch.viewAsReal(torch.tensor([1, 2]).mul(torch.scalar(0, 1)));
      expect(turned.toArray()).toEqual([
        [0, 1],
        [0, 2],
      ]);
      expect(torch.full([1], torch.scalar(1, 2)).dtype).toBe('complex64');
    });
  });

  it('04 is nothing else', () => {
    expect(() => torch.scalar('2' as unknown as number)).toThrow(torch.ArgumentError);
    const parts = [1] as unknown as number;
    expect(() => torch.scope(() => int64().mul(parts))).toThrow(/found the array \[1\]/);
  });
});
