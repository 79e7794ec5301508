import { nn, optim, torch } from 'm3l';
import { describe, expect, it } from 'vitest';
import { filled, flat, type Passed, passed, utilsFixture, values } from './sines.js';

type State = Record<string, { shape: number[]; values: number[] }>;
interface Case {
  kind: string;
  layer: string;
  args: number[];
  shape: number[];
  options: Record<string, unknown>;
  state: State;
  first: Passed;
  second: Passed;
  set?: State;
  removed: number[];
}
const { parametrizations: cases } = utilsFixture<{ parametrizations: Case[] }>();
const { parametrizations, parametrize } = nn.utils;
const near = { rtol: 2e-5, atol: 1e-5 };

const camel = (name: string) => name.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());

function applied(module: nn.Module, { kind, options }: Case): void {
  const { name = 'weight', dim, ...others } = options as { name?: string; dim?: number | null };
  if (kind === 'weight_norm') {
    parametrizations.weightNorm(module, name, dim);
    return;
  }
  const given = Object.fromEntries(
    Object.entries(others).map(([key, value]) => [
      camel(key),
      typeof value === 'string' ? camel(value) : value,
    ]),
  );
  if (kind === 'spectral_norm') parametrizations.spectralNorm(module, name, given);
  else parametrizations.orthogonal(module, name, given);
}

function expectState(module: nn.Module, expected: State): void {
  const state = module.stateDict();
  expect(Object.keys(state)).toEqual(Object.keys(expected));
  for (const [name, { shape, values }] of Object.entries(expected)) {
    expect(state[name]!.shape, name).toEqual(shape);
    expect(flat(state[name]!), name).toBeCloseToTensor(values, near);
  }
}

function expectPassed(module: nn.Layer, shape: number[], expected: Passed, before?: Passed): void {
  const found = passed(module, shape);
  expect(found.output).toBeCloseToTensor(expected.output, near);
  expect(found.input).toBeCloseToTensor(expected.input, near);
  expect(Object.keys(found.gradients)).toEqual(Object.keys(expected.gradients));
  for (const [name, gradient] of Object.entries(expected.gradients)) {
    // scripts/golden/nn_utils.py adds the second gradients to the first.
    const own = gradient.map((value, i) => value - (before?.gradients[name]?.[i] ?? 0));
    expect(found.gradients[name]!, name).toBeCloseToTensor(own, near);
  }
}

type Open = nn.Layer & Record<string, torch.Tensor>;

describe('parametrizations beside PyTorch', () => {
  it.each(
    cases.map(
      (each) => [`${each.kind} ${each.layer} ${JSON.stringify(each.options)}`, each] as const,
    ),
  )('%s', (_, each) => {
    torch.scope(() => {
      const Layer = nn[each.layer as 'Linear'];
      using module = filled(new Layer(...(each.args as [number, number]))) as unknown as Open;
      torch.manualSeed(0);
      applied(module, each);
      expectState(module, each.state);
      expectPassed(module, each.shape, each.first);
      const name = (each.options.name as string | undefined) ?? 'weight';
      const list = parametrize.parametrizationsOf(module, name);
      torch.noGrad(() => {
        for (const [i, tensor] of list.parameters().entries()) {
          tensor.mul_(values(60 + i, tensor.shape).add(1.5));
        }
        if (each.kind === 'orthogonal') list.tensors()[0]!.neg_().diagonal().fill_(-1);
      });
      module.eval();
      expectPassed(module, each.shape, each.second, each.first);
      if (each.set) {
        module[name] = module[name]!.detach().add(0.5);
        expectState(module, each.set);
      }
      const names = Object.keys(new Layer(...(each.args as [number, number])).stateDict());
      parametrize.removeParametrizations(module, name);
      expect(Object.keys(module.stateDict())).toEqual(names);
      expect(parametrize.isParametrized(module)).toBe(false);
      expect(flat(module[name]!)).toBeCloseToTensor(each.removed, near);
      module.zeroGrad();
    });
  });
});

it('weightNorm loads the names of its older form', () => {
  torch.scope(() => {
    using net = new nn.Sequential(parametrizations.weightNorm(new nn.Linear(2, 1)));
    const older = {
      '0.bias': torch.zeros([1]),
      '0.weight_g': torch.tensor([[10]]),
      '0.weight_v': torch.tensor([[3, 4]]),
    };
    expect(net.loadStateDict(older)).toEqual({ missing: [], unexpected: [] });
    expect((net.at(0) as nn.Linear).weight).toBeCloseToTensor([[6, 8]], near);
    parametrize.removeParametrizations(net.at(0), 'weight');
    expect(() => net.loadStateDict(older)).toThrow(/missing: 0.weight/);
  });
});

class Symmetric extends nn.Module {
  calls = 0;
  override forward(x: torch.Tensor): torch.Tensor {
    this.calls += 1;
    return x.triu().add(x.triu(1).t());
  }
  rightInverse(x: torch.Tensor): torch.Tensor {
    return x.triu();
  }
}

class Double extends nn.Module {
  override forward(x: torch.Tensor): torch.Tensor {
    return x.mul(2);
  }
}

describe('registerParametrization', () => {
  it('stacks, saves, moves, trains by what it is computed from', () => {
    torch.scope(() => {
      using layer = filled(new nn.Linear(2, 2));
      const { weight } = layer;
      parametrize.registerParametrization(layer, 'weight', new Symmetric());
      parametrize.registerParametrization(layer, 'weight', new Double());
      expect(layer.weight).not.toBe(weight);
      expect(layer.parameters()).toContain(weight);
      expect(layer.weight.sub(layer.weight.t()).abs().max().item()).toBe(0);
      expect(Object.keys(layer.stateDict())).toEqual(['bias', 'parametrizations.weight.original']);
      expect(`${layer}`).toMatch(
        /\(weight\): ParametrizationList\(\n.*Symmetric\(\)\n.*Double\(\)/,
      );
      layer.to('float64');
      expect(layer.weight.dtype).toBe('float64');
      using optimizer = new optim.SGD(layer.parameters(), { lr: 0.1 });
      layer
        .forward(torch.ones([1, 2], { dtype: 'float64' }))
        .sum()
        .backward();
      optimizer.step();
      expect(layer.weight.sub(layer.weight.t()).abs().max().item()).toBe(0);
      const list = parametrize.parametrizationsOf(layer, 'weight');
      expect(() => list.rightInverse(layer.weight)).toThrow(/Double: found no rightInverse/);
      parametrize.removeParametrizations(layer, 'weight', { leaveParametrized: false });
      expect(layer.weight.select(0, 1).select(0, 0).item()).toBe(0);
      layer.zeroGrad();
    });
  });

  it('computes once within cached, with a graph and without', () => {
    torch.scope(() => {
      using layer = new nn.Linear(2, 2);
      const symmetric = new Symmetric();
      parametrize.registerParametrization(layer, 'weight', symmetric);
      symmetric.calls = 0;
      const x = torch.ones([1, 2]);
      parametrize.cached(() => {
        torch.scope(() => layer.forward(x));
        layer.forward(x).sum().backward();
        expect(symmetric.calls).toBe(1);
        torch.noGrad(() => parametrize.cached(() => layer.forward(x)));
        expect(symmetric.calls).toBe(2);
      });
      layer.forward(x);
      expect(symmetric.calls).toBe(3);
      expect(() => parametrize.cached((async () => 1) as never)).toThrow(/returned a promise/);
      layer.zeroGrad();
    });
  });

  it('refuses what does not fit, and leaves the module as it was', () => {
    torch.scope(() => {
      using layer = filled(new nn.Linear(2, 3));
      const before = flat(layer.weight).toArray();
      const register = (name: string, module: unknown) => () =>
        parametrize.registerParametrization(layer, name, module as Double);
      class Row extends Double {
        override forward(x: torch.Tensor) {
          return x.narrow(0, 0, 1);
        }
      }
      expect(register('weight', new Row())).toThrow(
        /gave float32 \[1,2\], expected float32 \[3,2\]/,
      );
      expect(register('weights', new Double())).toThrow(/found none at 'weights' of Linear/);
      expect(register('inFeatures', new Double())).toThrow(/found the number 2 at 'inFeatures'/);
      expect(register('weight', torch.relu)).toThrow(/expected a module/);
      expect(() => parametrize.removeParametrizations(layer, 'weight')).toThrow(/found no param/);
      expect(() => parametrizations.weightNorm(layer, 'weight', 2)).toThrow(/number 2 for a dim/);
      const map = { orthogonalMap: 'qr' } as never;
      expect(() => parametrizations.orthogonal(layer, 'weight', map)).toThrow(/the string 'qr'/);
      expect(() => parametrizations.orthogonal(layer, 'bias')).toThrow(/expected a matrix/);
      expect(flat(layer.weight).toArray()).toEqual(before);
      expect(Object.keys(layer.stateDict())).toEqual(['weight', 'bias']);
      parametrizations.weightNorm(layer);
      const remove = () =>
        parametrize.removeParametrizations(layer, 'weight', { leaveParametrized: false });
      expect(remove).toThrow(/found 2 originals/);
    });
  });
});
