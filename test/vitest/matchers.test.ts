import { torch } from 'm3l';
import { describe, expect, it } from 'vitest';

describe('m3l/vitest', () => {
  it('01 compares shapes and values, of tensors and of nested arrays', () =>
    torch.scope(() => {
      const x = torch.tensor([1, 2]);
      expect(x).toBeCloseToTensor([1, 2]);
      expect(x).toBeCloseToTensor(x.add(1e-6));
      expect(x).not.toBeCloseToTensor([1, 2.1]);
      expect(x).toBeCloseToTensor([1, 2.1], { atol: 0.2 });
      expect(x.reshape(1, 2)).not.toBeCloseToTensor(x);
      expect([Number.NaN, 1]).toBeCloseToTensor([Number.NaN, 1]);
      expect([Number.NaN, 1]).not.toBeCloseToTensor([1, 1]);
      const z = torch.complex(x, x);
      expect(z.conj()).toBeCloseToTensor(torch.complex(x, x.neg()));
      expect(z.conj()).not.toBeCloseToTensor(z);
    }));

  it('02 says which value is how far off', () => {
    expect(() => expect([1, 2, 3]).toBeCloseToTensor([1, 2, 4])).toThrow(
      /value 2 \(flat\) is 3, expected 4 \(2\.49e\+4 × the tolerance\)/,
    );
    expect(() => expect([[1, 2]]).toBeCloseToTensor([1, 2])).toThrow(
      'shape is [1,2], expected [2]',
    );
    expect(() => expect('1').toBeCloseToTensor([1])).toThrow(/expected a Tensor or nested arrays/);
  });

  it('03 a tensor equals itself alone', () =>
    torch.scope(() => {
      const [x, y] = [torch.ones([2]), torch.ones([2])];
      expect(x).toEqual(x);
      expect(x).not.toEqual(y);
      expect({ x }).toEqual({ x });
    }));
});
