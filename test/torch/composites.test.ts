import { torch } from 'm3l';
import { describe, expect, it } from 'vitest';

// What these compute is compared with PyTorch's in op-db.test.ts; here: forms, errors, what is left behind.
describe('composites', () => {
  it('01 unique gives what is asked for and keeps no more', () =>
    torch.scope(() => {
      const x = torch.tensor([3n, 1n, 3n]);
      const before = torch.memory().tensors;
      const output = x.unique();
      const [same, counts] = x.unique({ returnCounts: true });
      expect(torch.memory().tensors - before).toBe(3);
      expect([output.toArray(), same.toArray(), counts.toArray()]).toEqual([
        [1, 3],
        [1, 3],
        [1, 2],
      ]);
      const [, inverse] = torch.unique(x, { returnInverse: true });
      expect(inverse.toArray()).toEqual([1, 0, 1]);
      expect(x.uniqueConsecutive().toArray()).toEqual([3, 1, 3]);
      expect(() => x.unique({ sort: true } as never)).toThrow(/'sort'.*sorted, returnInverse/);
      expect(() => x.unique({ sorted: 'yes' as never })).toThrow(/sorted.*boolean/);
    }));

  it('02 masked reductions see what the mask shows', () =>
    torch.scope(() => {
      const x = torch.tensor([
        [1, 2],
        [3, 4],
      ]);
      const mask = torch.tensor([
        [true, false],
        [false, false],
      ]);
      const { masked } = torch;
      expect(masked.sum(x, { mask }).item()).toBe(1);
      expect(masked.mean(x, 1, { mask }).toArray()).toEqual([1, Number.NaN]);
      expect(masked.amax(x, 0, { mask, keepdim: true }).toArray()).toEqual([[1, -Infinity]]);
      expect(masked.sum(x, 1, { mask: mask.at(0) }).toArray()).toEqual([1, 3]);
      expect(masked.amin(x.long(), 1, { mask }).at(1).item()).toBe(2 ** 63);
      expect(() => masked.sum(x, { mask: mask.unsqueeze(0) })).toThrow(/broadcasts to \[2,2\]/);
      expect(() => masked.sum(x, 0.5)).toThrow(/masked: dim is the number 0.5/);
      expect(() => masked.sum(null as never)).toThrow(/masked.sum.*input/);
      expect(() => masked.median(x.long(), 1, { mask })).toThrow(/no median/);
    }));

  it('03 windows say what they cannot be', () =>
    torch.scope(() => {
      const { windows } = torch.signal;
      expect(windows.hann(4, { sym: false }).toArray()).toEqual(torch.hannWindow(4).toArray());
      expect([windows.kaiser(0).shape, windows.bartlett(1).toArray()]).toEqual([[0], [1]]);
      expect(windows.cosine(3, { dtype: 'float64' }).dtype).toBe('float64');
      expect(() => windows.hann(-1)).toThrow(/M is -1/);
      expect(() => windows.gaussian(3, { std: 0 })).toThrow(/std is 0.*more than 0/);
      expect(() => windows.hann(3, { dtype: 'int64' })).toThrow(/int64/);
      expect(() => windows.exponential(3, { center: 1 })).toThrow(/center is 1/);
      expect(() => windows.generalCosine(3, [])).toThrow(/at least one number/);
    }));

  it('04 shapes that do not go together are named', () => {
    expect(torch.broadcastShapes([2, 1], [3], 1)).toEqual([2, 3]);
    expect(() => torch.broadcastShapes([2], [3])).toThrow(/\[2\], \[3\].*2 and 3 in dimension 0/);
    expect(() => torch.broadcastShapes([-1])).toThrow(/at least 0/);
  });

  it('05 places, products and norms', () =>
    torch.scope(() => {
      const x = torch.tensor([
        [0, 2],
        [3, 0],
      ]);
      expect(x.nonzero().toArray()).toEqual([
        [0, 1],
        [1, 0],
      ]);
      expect(x.nonzero({ asTuple: true }).map((t) => t.toArray())).toEqual([
        [0, 1],
        [1, 0],
      ]);
      const [rows, columns] = torch.unravelIndex(torch.tensor([1n, 2n]), [2, 2]);
      expect([rows!.toArray(), columns!.toArray()]).toEqual([
        [0, 1],
        [1, 0],
      ]);
      expect(torch.tensordot(x, x, 1).toArray()).toEqual(x.matmul(x).toArray());
      expect(
        torch
          .tensordot(x, x, {
            dims: [
              [0, 1],
              [0, 1],
            ],
          })
          .item(),
      ).toBe(13);
      expect(x.norm('nuc').item()).toBeCloseTo(5, 5);
      expect(x.norm(1, 0).toArray()).toEqual([3, 2]);
      expect(x.norm({ dim: [0, 1], keepdim: true }).shape).toEqual([1, 1]);
      expect(() => torch.tensordot(x, x, -1)).toThrow(/dims is -1/);
      expect(() => x.norm(2, 0, true, 3 as never)).toThrow(/float32|dtype/);
    }));

  it('06 a matrix of low rank comes back from its factors', () =>
    torch.scope(() => {
      const a = torch.randn(8, 2).matmul(torch.randn(2, 5));
      const [U, S, V] = torch.svdLowrank(a, { q: 2 });
      expect(U.mul(S).matmul(V.T)).toBeCloseToTensor(a, { rtol: 1e-3, atol: 1e-4 });
      expect(() => torch.pcaLowrank(a, { q: 9 })).toThrow(/q is 9.*0 to 5/);
      expect(() => torch.svdLowrank(torch.ones(3))).toThrow(/\[3\]/);
      const { LU, pivots, info } = torch.lu(torch.eye(2), { getInfos: true });
      expect([LU.shape, pivots.toArray(), info.item()]).toEqual([[2, 2], [1, 2], 0]);
    }));

  it('07 sparse products', () =>
    torch.scope(() => {
      const dense = torch.tensor([
        [0, 2],
        [1, 0],
      ]);
      const sparse = dense.toSparse();
      expect(torch.sparse.mm(sparse, dense).toArray()).toEqual(dense.matmul(dense).toArray());
      expect(torch.sparse.sum(sparse).item()).toBe(3);
    }));
});
