import { readFileSync } from 'node:fs';
import { torch } from 'm3l';
import { describe, expect, it } from 'vitest';

interface Golden {
  values: unknown[];
  cases: { indices: unknown[]; shape: number[]; read: unknown; written: unknown[] }[];
  refused: { indices: unknown[]; error: string }[];
}
// Written by scripts/golden/indexing.py.
const golden: Golden = JSON.parse(
  readFileSync(new URL('../fixtures/indexing.json', import.meta.url), 'utf8'),
);

const start = () => torch.arange(24).reshape(2, 3, 4).float();
const said = (value: unknown): never => {
  const held = (value as { tensor?: torch.NestedValues } | null)?.tensor;
  if (held === undefined) return value as never;
  const whole = JSON.stringify(held).includes('.') ? 'float32' : 'int64';
  return torch.tensor(held, { dtype: whole }) as never;
};

describe('indexing', () => {
  it.each(golden.cases.map((sample) => [JSON.stringify(sample.indices), sample] as const))(
    '01 %s is what Python reads and writes',
    (_, { indices, shape, read, written }) =>
      torch.scope(() => {
        const found = start().at(...indices.map(said));
        expect([found.shape, found.toArray()]).toEqual([shape, read]);
        for (const [i, value] of golden.values.entries()) {
          const x = start();
          const write = () => x.setAt(...indices.map(said), said(value));
          if (written[i] === null) {
            expect(write).toThrow(/broadcast|shape|size/i);
            continue;
          }
          expect(write()).toBe(x);
          expect(x.toArray()).toEqual(written[i]);
        }
      }),
  );

  it.each(golden.refused.map((sample) => [JSON.stringify(sample.indices), sample] as const))(
    '02 %s is refused, with a code',
    (_, { indices }) =>
      torch.scope(() => {
        expect(() => start().at(...indices.map(said))).toThrow(
          expect.objectContaining({ code: expect.stringMatching(/^M3L_/) }),
        );
      }),
  );

  it('03 an error names the index and the size', () =>
    torch.scope(() => {
      const x = start();
      const code = 'M3L_INDEX';
      const refusal = (...indices: torch.Index[]) => expect(() => x.at(...indices));
      refusal(0, 3).toThrow(
        expect.objectContaining({ code, message: expect.stringMatching(/3 .*size 3.*-3 to 2/) }),
      );
      refusal(0, 0, 0, 0).toThrow(
        expect.objectContaining({ code, message: expect.stringMatching(/4 dim.*\[2,3,4\]/) }),
      );
      refusal(':', [0, 7]).toThrow(/7.*size 3/);
      refusal('1' as never).toThrow(/'1'.*start:stop/);
      refusal(1.5).toThrow(/1\.5.*integer/);
      refusal([0, true] as never).toThrow(/integers or booleans/);
      refusal({} as never).toThrow(/index 0/);
      refusal('...', '...').toThrow(/twice/);
      expect(() => x.setAt(0, 'five' as never)).toThrow(/value.*must be a Tensor/);
      expect(() => (x.setAt as () => void)()).toThrow(/no value/);
      expect(() => [...torch.tensor(1)]).toThrow(expect.objectContaining({ code }));
    }));

  it('04 places and ranges are views, lists are copies', () =>
    torch.scope(() => {
      const x = start();
      x.at(0, '1:').fill_(9);
      expect(x.at(0, 1).toArray()).toEqual([9, 9, 9, 9]);
      x.at([0]).fill_(5);
      expect(x.at(0, 1).toArray()).toEqual([9, 9, 9, 9]);
      const all = x.at();
      expect([all === x, all.sameStorage(x)]).toEqual([false, true]);
    }));

  it('05 iterates over the first dimension', () =>
    torch.scope(() => {
      const x = torch.arange(6).reshape(3, 2);
      const sums: number[] = [];
      for (const row of x) sums.push(row.sum().item());
      expect(sums).toEqual([1, 5, 9]);
      const [first, ...rest] = x;
      expect([first!.toArray(), rest.length]).toEqual([[0, 1], 2]);
    }));

  it('06 values: numbers, bigints, booleans, scalars said to be something, other dtypes', () =>
    torch.scope(() => {
      const x = torch.zeros([4], { dtype: 'int64' });
      x.setAt(0, 2n ** 60n)
        .setAt(1, true)
        .setAt(2, torch.scalar(3))
        .setAt(3, torch.tensor([4.5]));
      expect([...x.toTypedArray()]).toEqual([2n ** 60n, 1n, 3n, 4n]);
      const z = torch.zeros([1], { dtype: 'complex64' }).setAt(0, torch.scalar(1, 2));
      expect(torch.viewAsReal(z).toArray()).toEqual([[1, 2]]);
    }));

  it('07 gradients flow through reading and writing', () =>
    torch.scope(() => {
      const x = start().requiresGrad_();
      x.at(0, [0, 2], '1:3').sum().backward();
      expect(x.grad!.sum().item()).toBe(4);
      const w = torch.ones([2], { requiresGrad: true });
      const y = torch.zeros([2, 2]);
      y.setAt(1, w.mul(3));
      y.sum().backward();
      expect(w.grad!.toArray()).toEqual([3, 3]);
    }));

  it('08 leaves nothing behind but what it gives', () =>
    torch.scope(() => {
      const x = start();
      const mask = x.gt(3);
      const before = torch.memory().tensors;
      const found = x.at(mask, null);
      x.setAt(mask, 0).setAt(0, [0, 1], '1:3', 5);
      expect(torch.memory().tensors - before).toBe(1);
      expect(found.shape).toEqual([20, 1]);
    }));

  it('09 types refuse what is no index', () => {
    const x = undefined as unknown as torch.Tensor;
    const compiles = () => {
      const i = 1;
      x.at(`${i}:`, '1:3', '::2', ':', '...', null, [0, 2], [true], x, -1);
      x.setAt('...', 0, 5);
      x.setAt(x, x);
      // @ts-expect-error: no range
      x.at('first');
      // @ts-expect-error: a place is a whole number
      x.at({ start: 1 });
      // @ts-expect-error: a value is a tensor or a number
      x.setAt(0, 'five');
    };
    expect(compiles).toBeTypeOf('function');
  });
});
