import { nn, torch } from 'm3l';
import { describe, expect, it } from 'vitest';
import { filled, flat, type Passed, passed, utilsFixture } from './sines.js';

interface Pruned {
  calls: [method: string, ...args: (number | 'inf')[]][];
  masks: number[][];
  names: string[];
  passed: Passed;
  removed: number[];
}
interface Globally {
  method: string;
  amount: number;
  masks: number[][];
}
const fixture = utilsFixture<{ prune: Pruned[]; pruneGlobally: Globally[] }>();
const { prune } = nn.utils;
const near = { rtol: 1e-5, atol: 1e-6 };

const camel = (name: string) => name.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());
type Method = (module: nn.Module, name: string, ...args: number[]) => nn.Module;
type Masked = nn.Module & { weightMask: torch.Tensor; weightOrig: torch.Tensor };

describe('pruning beside PyTorch', () => {
  it.each(fixture.prune.map((each) => [JSON.stringify(each.calls), each] as const))(
    '%s',
    (_, { calls, masks, names, passed: expected, removed }) => {
      torch.scope(() => {
        using layer = filled(new nn.Conv2d(2, 4, 2)) as unknown as nn.Conv2d & Masked;
        torch.manualSeed(0);
        for (const [i, [method, ...args]] of calls.entries()) {
          const given = args.map((each) => (each === 'inf' ? Infinity : each));
          const apply = (prune as unknown as Record<string, Method>)[camel(method)]!;
          expect(apply(layer, 'weight', ...given)).toBe(layer);
          expect(flat(layer.weightMask).toArray()).toEqual(masks[i]);
        }
        expect(Object.keys(layer.stateDict())).toEqual(names);
        expect(prune.isPruned(layer)).toBe(true);
        const found = passed(layer, [1, 2, 3, 3]);
        expect(found.output).toBeCloseToTensor(expected.output, near);
        expect(found.input).toBeCloseToTensor(expected.input, near);
        for (const [name, gradient] of Object.entries(expected.gradients)) {
          expect(found.gradients[name]!, name).toBeCloseToTensor(gradient, near);
        }
        const { weightOrig } = layer;
        prune.remove(layer, 'weight');
        expect(layer.weight).toBe(weightOrig);
        expect(Object.keys(layer.stateDict())).toEqual(['weight', 'bias']);
        expect(flat(layer.weight)).toBeCloseToTensor(removed, near);
        expect(prune.isPruned(layer)).toBe(false);
        layer.zeroGrad();
      });
    },
  );

  it.each(fixture.pruneGlobally)('globally, by $method', ({ method, amount, masks }) => {
    torch.scope(() => {
      using net = filled(
        new nn.Sequential(new nn.Linear(3, 4), new nn.Tanh(), new nn.Linear(4, 2)),
      );
      const [first, , last] = [...net] as [Masked, unknown, Masked];
      prune.l1Unstructured(last, 'weight', 2);
      torch.manualSeed(0);
      const pairs: [nn.Module, string][] = [
        [first, 'weight'],
        [last, 'weight'],
      ];
      prune.globalUnstructured(pairs, method === 'L1Unstructured' ? 'l1' : 'random', amount);
      expect([first, last].map((each) => flat(each.weightMask).toArray())).toEqual(masks);
    });
  });
});

describe('pruning', () => {
  it('goes by scores that are given, moves with the module, and loads', () => {
    torch.scope(() => {
      using layer = filled(new nn.Linear(2, 2)) as unknown as nn.Linear & Masked;
      const importanceScores = torch.tensor([
        [4, 3],
        [2, 1],
      ]);
      prune.l1Unstructured(layer, 'weight', 1, { importanceScores });
      expect(layer.weightMask.toArray()).toEqual([
        [1, 1],
        [1, 0],
      ]);
      layer.to('float64');
      expect(layer.weight.dtype).toBe('float64');
      using other = prune.identity(new nn.Linear(2, 2), 'weight') as unknown as typeof layer;
      other.loadStateDict(layer.stateDict());
      expect(other.weight.toArray()).toEqual(layer.weight.to('float32').toArray());
      prune.customFromMask(other, 'weight', torch.tensor([[true], [false]]).expand([2, 2]));
      expect(other.weightMask.toArray()).toEqual([
        [1, 1],
        [0, 0],
      ]);
    });
  });

  it('refuses what cannot be, and prunes nothing then', () => {
    torch.scope(() => {
      using layer = new nn.Linear(2, 2);
      expect(() => prune.l1Unstructured(layer, 'weight', 5)).toThrow(/the number 5 to prune/);
      expect(() => prune.l1Unstructured(layer, 'weight', 1.5)).toThrow(/or a share below 1/);
      expect(() => prune.l1Unstructured(layer, 'weights', 1)).toThrow(/found none at 'weights'/);
      expect(() => prune.lnStructured(layer, 'bias', 1, 2, 0)).toThrow(/as a dimension of shape/);
      expect(() => prune.randomStructured(layer, 'weight', 1, 2)).toThrow(/the number 2 as a dim/);
      const small = torch.ones([1]);
      expect(() => prune.customFromMask(layer, 'weight', small)).toThrow(
        /that of the tensor, \[2,2/,
      );
      expect(() => prune.globalUnstructured([], 'l1', 1)).toThrow(/found 0 parameters/);
      expect(() => prune.remove(layer, 'weight')).toThrow(/found no mask of 'weight' of Linear/);
      expect(prune.isPruned(layer)).toBe(false);
      expect(Object.keys(layer.stateDict())).toEqual(['weight', 'bias']);
    });
  });
});
