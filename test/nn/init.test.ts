import { readFileSync } from 'node:fs';
import { nn, torch } from 'm3l';
import { describe, expect, it } from 'vitest';

interface Case {
  name: string;
  shape: number[];
  args: number[];
  options: Record<string, unknown>;
  values: number[];
}
// Written by scripts/golden/nn.py.
const cases = JSON.parse(
  readFileSync(new URL('../fixtures/nn-init.json', import.meta.url), 'utf8'),
) as Case[];

const camel = (name: string) => name.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());
const renamed: Record<string, string> = { fan_out: 'fanOut' };

type Init = (tensor: torch.Tensor, ...args: unknown[]) => torch.Tensor;

describe('init beside PyTorch, drawn from the same seed', () => {
  it.each(cases.map((each) => [JSON.stringify({ ...each, values: '…' }), each] as const))(
    '%s',
    (_, { name, shape, args, options, values }) => {
      torch.scope(() => {
        const entries = Object.entries(options).map(([key, value]) => [
          key,
          renamed[value as string] ?? value,
        ]);
        const last = entries.length > 0 ? [Object.fromEntries(entries)] : [];
        const fill = (nn.init as unknown as Record<string, Init>)[camel(name)]!;
        const tensor = torch.empty(shape);
        torch.manualSeed(0);
        expect(fill(tensor, ...args, ...last)).toBe(tensor);
        expect(tensor.flatten()).toBeCloseToTensor(values, { rtol: 1e-5, atol: 1e-6 });
      });
    },
  );
});

describe('init', () => {
  it('knows the gains and fans of PyTorch', () => {
    torch.scope(() => {
      expect(nn.init.calculateGain('leakyRelu', 0.2)).toBeCloseTo(Math.sqrt(2 / 1.04), 12);
      expect(nn.init.calculateGain('tanh')).toBeCloseTo(5 / 3, 12);
      expect(nn.init.calculateFanInAndFanOut(torch.empty([4, 3, 2, 5]))).toEqual([30, 40]);
    });
  });

  it('keeps what it fills out of the graph, and leaves nothing behind', () => {
    torch.scope(() => {
      const weight = torch.ones([3, 3]).requiresGrad_();
      const before = torch.memory().tensors;
      nn.init.orthogonal_(weight);
      nn.init.truncNormal_(weight);
      nn.init.sparse_(weight, 0.5);
      expect([weight.requiresGrad, weight.isLeaf]).toEqual([true, true]);
      expect(torch.memory().tensors).toBe(before);
    });
  });

  it.each([
    [() => nn.init.eye_(torch.empty([2])), /eye_: found shape \[2\], expected 2 dimensions/],
    [() => nn.init.dirac_(torch.empty([2, 2])), /dirac_: found shape \[2,2\], expected 3 to 5/],
    [() => nn.init.dirac_(torch.empty([4, 2, 1]), { groups: 3 }), /3 groups of 4 channels/],
    [() => nn.init.xavierNormal_(torch.empty([2])), /expected at least 2 dimensions/],
    [
      () => nn.init.kaimingNormal_(torch.empty([2, 2]), { mode: 'fan_in' as never }),
      /the string 'fan_in' for mode, expected one of 'fanIn', 'fanOut'/,
    ],
    [() => nn.init.calculateGain('swish' as never), /the string 'swish' for nonlinearity/],
    [
      () => nn.init.sparse_(torch.empty([2, 2]), 2),
      /the number 2 for sparsity, expected a number in \[0, 1\]/,
    ],
  ])('refuses %s', (call, message) => {
    torch.scope(() => expect(call).toThrow(message));
  });
});
