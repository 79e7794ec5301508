import { torch } from 'm3l';
import { describe, expect, it } from 'vitest';

const leaf = (values: torch.NestedValues) =>
  torch.tensor(values, { dtype: 'float64', requiresGrad: true });

describe('autograd', () => {
  it('01 backward adds to the gradients of the leaves', () =>
    torch.scope(() => {
      const x = leaf([1, 2, 3]);
      x.mul(x).sum().backward();
      expect(x.grad?.toArray()).toEqual([2, 4, 6]);
      x.sum().backward();
      expect(x.grad?.toArray()).toEqual([3, 5, 7]);
      x.grad = null;
      expect(x.grad).toBe(null);
    }));

  it('02 a gradient given to a root of several elements', () =>
    torch.scope(() => {
      const x = leaf([1, 2, 3]);
      x.pow(2).backward(torch.tensor([1, 10, 100], { dtype: 'float64' }));
      expect(x.grad?.toArray()).toEqual([2, 40, 600]);
      expect(() => x.pow(2).backward()).toThrow(/scalar/);
    }));

  it('03 several roots with given gradients', () =>
    torch.scope(() => {
      const x = leaf([1, 2]);
      const y = leaf([3, 4]);
      torch.backward([x.mul(y), x.sum()], [torch.tensor([1, 2], { dtype: 'float64' }), null]);
      expect(x.grad?.toArray()).toEqual([4, 9]);
      expect(y.grad?.toArray()).toEqual([1, 4]);
    }));

  it('04 inputs restrict where gradients go', () =>
    torch.scope(() => {
      const x = leaf([1]);
      const y = leaf([2]);
      torch.backward(x.mul(y), null, { inputs: [y] });
      expect(x.grad).toBe(null);
      expect(y.grad?.toArray()).toEqual([1]);
    }));

  it('05 grad touches no .grad; unused inputs are null where that is allowed', () =>
    torch.scope(() => {
      const x = leaf([2]);
      const y = leaf([5]);
      const [gx] = torch.grad(x.pow(3), x);
      expect(gx?.toArray()).toEqual([12]);
      expect(x.grad).toBe(null);
      expect(torch.grad(x.pow(3), [x, y], { allowUnused: true })[1]).toBe(null);
      expect(() => torch.grad(x.pow(3), [x, y])).toThrow(/unused|not have been used/i);
    }));

  it('06 derivatives of derivatives', () =>
    torch.scope(() => {
      const x = leaf([2]);
      const [first] = torch.grad(x.pow(4), x, { createGraph: true });
      const [second] = torch.grad(first!, x, { createGraph: true });
      const [third] = torch.grad(second!, x);
      expect([first, second, third].map((g) => g!.item())).toEqual([32, 48, 48]);
    }));

  it('07 a graph is gone after backward unless it is retained', () =>
    torch.scope(() => {
      const x = leaf([2]);
      const y = x.mul(x).sum();
      y.backward(null, { retainGraph: true });
      y.backward();
      expect(x.grad?.item()).toBe(8);
      expect(() => y.backward()).toThrow(/second time/);
    }));

  it('08 noGrad, enableGrad and their nesting', () =>
    torch.scope(() => {
      const x = leaf([1]);
      expect(torch.isGradEnabled()).toBe(true);
      torch.noGrad(() => {
        expect(torch.isGradEnabled()).toBe(false);
        expect(x.mul(2).requiresGrad).toBe(false);
        torch.enableGrad(() => expect(x.mul(2).requiresGrad).toBe(true));
        x.add_(1);
      });
      expect(torch.isGradEnabled()).toBe(true);
      expect(x.item()).toBe(2);
      expect(() => x.add_(1)).toThrow(/leaf/);
    }));

  it('09 the mode comes back after a throw, and promises are refused', () => {
    expect(() =>
      torch.noGrad(() => {
        throw new Error('x');
      }),
    ).toThrow('x');
    expect(torch.isGradEnabled()).toBe(true);
    expect(() => torch.noGrad(async () => {})).toThrow(/synchronous/);
    expect(() => torch.inferenceMode(async () => {})).toThrow(/synchronous/);
    expect([torch.isGradEnabled(), torch.isInferenceMode()]).toEqual([true, false]);
  });

  it('10 inference mode', () =>
    torch.scope(() => {
      const x = leaf([1]);
      const y = torch.inferenceMode(() => {
        expect(torch.isInferenceMode()).toBe(true);
        return x.mul(2);
      });
      expect(torch.isInferenceMode()).toBe(false);
      expect(y.requiresGrad).toBe(false);
      expect(() => x.mul(y)).toThrow(/[Ii]nference tensors/);
    }));

  it('11 detach, clone and requiresGrad_', () =>
    torch.scope(() => {
      const x = leaf([3]);
      expect(x.detach().requiresGrad).toBe(false);
      expect(x.detach().sameStorage(x)).toBe(true);
      expect(x.clone().isLeaf).toBe(false);
      expect(torch.ones([1]).requiresGrad_().requiresGrad).toBe(true);
      expect(x.requiresGrad_(false).requiresGrad).toBe(false);
    }));

  it('12 a leaf outside the scope keeps its gradient after it', () => {
    const weight = torch.detached(() => leaf([1, 2]));
    torch.scope(() => weight.mul(3).sum().backward());
    torch.scope(() => expect(weight.grad?.toArray()).toEqual([3, 3]));
    weight.grad = null;
    weight.dispose();
  });

  it('13 the gradient of a convolution is that of its definition', () =>
    torch.scope(() => {
      const x = leaf([
        [
          [
            [1, 2, 3],
            [4, 5, 6],
            [7, 8, 9],
          ],
        ],
      ]);
      const w = leaf([
        [
          [
            [1, 0],
            [0, -1],
          ],
        ],
      ]);
      torch.conv2d(x, w).sum().backward();
      expect(w.grad?.toArray()).toEqual([
        [
          [
            [12, 16],
            [24, 28],
          ],
        ],
      ]);
      expect(x.grad?.toArray()).toEqual([
        [
          [
            [1, 1, 0],
            [1, 0, -1],
            [0, -1, -1],
          ],
        ],
      ]);
    }));
});

// Calls whose arguments ask for no gradient pass autograd by: what it must know of them, it knows.
describe('autograd passed by', () => {
  it('still sees that a saved tensor was changed in place', () =>
    torch.scope(() => {
      const x = leaf([1, 2]);
      const factor = torch.tensor([3, 4], { dtype: 'float64' });
      const y = x.mul(factor).sum();
      factor.add_(1);
      expect(() => y.backward()).toThrow(/modified by an inplace operation/);
    }));

  it('still knows of views, into which a gradient may flow later', () =>
    torch.scope(() => {
      const x = leaf([5, 7]);
      const base = torch.zeros([3, 2], { dtype: 'float64' });
      const row = base.select(0, 1);
      row.copy_(x);
      expect(base.requiresGrad).toBe(true);
      base.mul(2).sum().backward();
      expect(x.grad?.toArray()).toEqual([2, 2]);
      const [first] = torch.ones([2, 2]).unbind(0);
      expect(first!.requiresGrad_().isLeaf).toBe(true);
    }));

  it('records where a gradient is asked for inside a list', () =>
    torch.scope(() => {
      const x = leaf([1, 2]);
      const joined = torch.cat([torch.zeros([1], { dtype: 'float64' }), x]);
      joined.pow(2).sum().backward();
      expect(x.grad?.toArray()).toEqual([2, 4]);
      const table = leaf([1, 2, 3]);
      const picked = torch.index(table, [torch.tensor([0, 0, 2], { dtype: 'int64' })]);
      picked.sum().backward();
      expect(table.grad?.toArray()).toEqual([2, 0, 1]);
    }));
});
