import { nn, optim, torch } from 'm3l';
import { describe, expect, it } from 'vitest';
import { flat, type Passed, passed, utilsFixture, values } from './sines.js';

interface Case {
  name: string;
  args: unknown[];
  shape: number[];
  options: Record<string, unknown>;
  names: string[];
  becomes: string;
  state: Record<string, { shape: number[]; values: number[] }>;
  passed: Passed;
}
const { lazy } = utilsFixture<{ lazy: Case[] }>();
const near = { rtol: 1e-5, atol: 1e-5 };

const camel = (name: string) => name.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());

function create({ name, args, options }: Case): nn.Layer {
  const given = Object.entries(options).map(([key, value]) => [camel(key), value]);
  const Layer = nn[name as 'LazyLinear'] as unknown as new (...args: unknown[]) => nn.Layer;
  return new Layer(...args, Object.fromEntries(given));
}

describe('lazy layers beside PyTorch', () => {
  it.each(lazy)('$name', (each) => {
    torch.scope(() => {
      torch.manualSeed(0);
      using layer = create(each);
      expect(Object.keys(layer.stateDict())).toEqual(each.names);
      const parameters = layer.parameters();
      torch.noGrad(() => layer.eval().forward(values(0, each.shape)));
      expect(layer.constructor.name).toBe(each.becomes);
      expect(layer.constructor).toBe(nn[each.becomes as 'Linear']);
      expect(layer.parameters()).toEqual(parameters);
      const state = layer.stateDict();
      expect(Object.keys(state)).toEqual(Object.keys(each.state));
      for (const [name, { shape, values: expected }] of Object.entries(each.state)) {
        expect(state[name]!.shape, name).toEqual(shape);
        expect(flat(state[name]!), name).toBeCloseToTensor(expected, near);
      }
      const found = passed(layer.train(), each.shape);
      expect(found.output).toBeCloseToTensor(each.passed.output, near);
      expect(found.input).toBeCloseToTensor(each.passed.input, near);
      for (const [name, gradient] of Object.entries(each.passed.gradients)) {
        expect(found.gradients[name]!, name).toBeCloseToTensor(gradient, near);
      }
      layer.zeroGrad();
      using other = create(each);
      if (each.names.length === 0) return;
      other.loadStateDict(state);
      expect(other.constructor.name).toBe(each.becomes);
      const again = other.eval().forward(values(0, each.shape));
      const expected = layer.eval().forward(values(0, each.shape));
      expect(again.equal(expected)).toBe(true);
    });
  });
});

describe('a lazy layer', () => {
  it('is trained by an optimizer made before, keeps its dtype, its hooks and its place', () => {
    torch.scope(() => {
      using net = new nn.Sequential(new nn.LazyLinear(2), new nn.LazyLinear(1));
      expect(`${net}`).toContain('(0): LazyLinear(0, 2)');
      net.to('float64');
      using optimizer = new optim.AdamW(net.parameters(), { lr: 0.1 });
      let calls = 0;
      net.at(0).registerForwardHook(() => void calls++);
      const x = torch.ones([1, 3], { dtype: 'float64' });
      net.forward(x).sum().backward();
      const [, bias] = net.at(1).parameters();
      const before = bias!.item();
      optimizer.step();
      expect(bias!.item()).toBeLessThan(before);
      net.forward(x);
      expect(calls).toBe(2);
      expect(`${net}`).toContain('(0): Linear(3, 2)\n  (1): Linear(2, 1)');
      optimizer.zeroGrad();
    });
  });

  it('refuses inputs that are none for it, and stays lazy', () => {
    torch.scope(() => {
      using conv = new nn.LazyConv2d(4, 3, { groups: 2 });
      expect(() => conv.forward(torch.ones([3]))).toThrow(
        /LazyConv2d: found shape \[3\], expected/,
      );
      expect(() => conv.forward(torch.ones([3, 4, 4]))).toThrow(/found 2 groups of 3 channels/);
      expect(() => new nn.LazyConv2d(3, 3, { groups: 2 })).toThrow(/found 2 groups of 3 channels/);
      expect(() => new nn.LazyLinear(1.5)).toThrow(/found the number 1.5 for outFeatures/);
      expect(conv.forward(torch.ones([1, 2, 3, 3])).shape).toEqual([1, 4, 1, 1]);
      using norm = new nn.LazyBatchNorm1d();
      expect(() => norm.forward(torch.ones([3]))).toThrow(/LazyBatchNorm1d: found shape \[3\]/);
    });
  });
});
