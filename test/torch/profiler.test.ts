import { describe, expect, it } from 'vitest';
import { torch } from '../../lib/index.js';

describe('profile', () => {
  it('counts every operator that ran, those of the backward too, the dearest first', () => {
    torch.scope(() => {
      const weight = torch.randn([64, 64]).requiresGrad_(true);
      const input = torch.randn([64, 64]);
      const end = torch.profile();
      for (let i = 0; i < 3; i++) torch.matmul(input, weight).sum().backward();
      const rows = end();
      const of = (name: string) => rows.find((row) => row.name === name);
      expect(of('aten::matmul')?.calls).toBe(3);
      // One product forwards, one for the weight's gradient.
      expect(of('aten::mm')?.calls).toBe(6);
      expect(of('MmBackward0')?.calls).toBe(3);
      const own = rows.map((row) => row.selfMs);
      expect(own).toEqual([...own].sort((a, b) => b - a));
      for (const { selfMs, totalMs } of rows) {
        expect(selfMs).toBeGreaterThanOrEqual(0);
        expect(totalMs).toBeGreaterThanOrEqual(selfMs);
      }
      // A call's time without what it called, with it.
      expect(of('aten::matmul')?.selfMs).toBeLessThan(of('aten::matmul')?.totalMs as number);
    });
  });

  it('tells calls of other sizes apart where asked to', () => {
    torch.scope(() => {
      const [a, b] = [torch.ones([2, 3]), torch.ones([3, 4])];
      const end = torch.profile({ sizes: true });
      torch.mm(a, b);
      torch.mm(a, b);
      torch.mm(b, torch.ones([4, 1]));
      torch.cat([a, a]);
      const rows = end();
      const of = (name: string) =>
        rows.filter((row) => row.name === name).map(({ sizes, calls }) => [sizes, calls]);
      expect(new Map(of('aten::mm') as [string, number][])).toEqual(
        new Map([
          ['[2, 3] [3, 4]', 2],
          ['[3, 4] [4, 1]', 1],
        ]),
      );
      expect(of('aten::cat')).toEqual([['[2, 3] [2, 3]', 1]]);
      const plain = torch.profile();
      torch.mm(a, b);
      expect(plain().find(({ name }) => name === 'aten::mm')?.sizes).toBe('');
    });
  });

  it('sees nothing of what ran before or after', () => {
    torch.scope(() => {
      torch.ones([2]).exp();
      const end = torch.profile();
      torch.ones([2]).sin();
      const rows = end();
      torch.ones([2]).cos();
      const names = rows.map((row) => row.name);
      expect(names).toContain('aten::sin');
      expect(names).not.toContain('aten::exp');
      expect(torch.profile()()).toEqual([]);
    });
  });

  it('refuses a second one beside the first, and a second end', () => {
    const end = torch.profile();
    expect(() => torch.profile()).toThrow(expect.objectContaining({ code: 'M3L_PROFILE' }));
    expect(end()).toEqual([]);
    expect(end).toThrow(expect.objectContaining({ code: 'M3L_PROFILE' }));
  });

  it('goes on after an operator that failed', () => {
    torch.scope(() => {
      const end = torch.profile();
      expect(() => torch.matmul(torch.ones([2, 3]), torch.ones([2, 3]))).toThrow();
      torch.ones([2]).sin();
      const sin = end().find((row) => row.name === 'aten::sin');
      expect(sin?.calls).toBe(1);
    });
  });
});
