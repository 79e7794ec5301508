import { readFileSync } from 'node:fs';
import { optim, torch } from 'm3l';
import { describe, expect, it } from 'vitest';
import { giveGradients, groupsOf, initial, shapes, values } from './parameters.js';

const fixture = JSON.parse(
  readFileSync(new URL('../fixtures/optim.json', import.meta.url), 'utf8'),
) as Record<string, number[][][]>;

const cases: Record<string, (params: torch.Tensor[]) => optim.AdamW | optim.SGD> = {
  adamw: (p) =>
    new optim.AdamW(groupsOf(p), { lr: 0.01, betas: [0.8, 0.95], eps: 1e-6, weightDecay: 0.1 }),
  'adamw-default': (p) => new optim.AdamW(groupsOf(p)),
  sgd: (p) => new optim.SGD(groupsOf(p), { lr: 0.1 }),
  'sgd-momentum': (p) =>
    new optim.SGD(groupsOf(p), { lr: 0.1, momentum: 0.9, dampening: 0.3, weightDecay: 0.05 }),
  'sgd-nesterov': (p) => new optim.SGD(groupsOf(p), { lr: 0.1, momentum: 0.9, nesterov: true }),
};

describe.each(Object.entries(cases))('%s', (name, make) => {
  it('equals PyTorch step by step, null gradients and groups included', () => {
    torch.scope(() => {
      const params = initial();
      using optimizer = make(params);
      for (const [step, expected] of fixture[name]!.entries()) {
        giveGradients(params, step);
        optimizer.step();
        for (const [i, param] of params.entries()) {
          expect(param.detach().flatten()).toBeCloseToTensor(expected[i]!, { rtol: 2e-6 });
        }
      }
    });
  });

  it('gives the same by its static update, where some have taken fewer steps', () => {
    torch.scope(() => {
      const [static_, plain] = [initial(), initial()];
      using ours = make(static_);
      using theirs = make(plain);
      const giveAll = (params: torch.Tensor[], step: number) => {
        for (const [i, param] of params.entries()) param.grad = values(i, step, shapes[i]!);
      };
      for (const optimizer of [ours, theirs]) {
        giveGradients(optimizer === ours ? static_ : plain, 0);
        optimizer.step();
      }
      giveAll(static_, 1);
      const update = ours.staticUpdate();
      const numbers = torch.empty([update.size], { dtype: 'float64' });
      for (const step of [1, 2, 3]) {
        for (const optimizer of [ours, theirs]) optimizer.groups[0]!.lr = 0.1 / step;
        giveAll(static_, step);
        numbers.copy_(torch.tensor(Float64Array.from(update.next(0))));
        update.apply(numbers);
        giveAll(plain, step);
        theirs.step();
        for (const [i, param] of static_.entries()) {
          expect(param.detach().toArray()).toEqual(plain[i]!.detach().toArray());
        }
      }
      const counts = (optimizer: typeof ours) =>
        Object.entries(optimizer.stateDict().tensors)
          .filter(([key]) => key.endsWith('.step'))
          .map(([, step]) => step.item());
      expect(counts(ours)).toEqual(counts(theirs));
    });
  });

  it('goes on from a saved state as if it had not stopped', () => {
    torch.scope(() => {
      const params = initial();
      using first = make(params);
      for (const step of [0, 1, 2]) {
        giveGradients(params, step);
        first.step();
      }
      const copies = params.map((param) => param.detach().clone().requiresGrad_());
      using second = make(copies);
      const { tensors, meta } = first.stateDict();
      second.loadStateDict({ tensors, meta: JSON.parse(JSON.stringify(meta)) });
      giveGradients(copies, 3);
      second.step();
      for (const [i, copy] of copies.entries()) {
        const expected = fixture[name]![3]![i]!;
        expect(copy.detach().flatten()).toBeCloseToTensor(expected, { rtol: 2e-6 });
      }
    });
  });
});

describe('Optimizer', () => {
  it('keeps its state outside the scopes of the steps', () => {
    torch.scope(() => {
      const param = torch.ones([2]).requiresGrad_();
      using optimizer = new optim.AdamW([param]);
      const before = torch.memory().tensors;
      for (let step = 0; step < 3; step++) {
        torch.scope(() => {
          param.mul(2).sum().backward();
          optimizer.step();
          optimizer.zeroGrad();
        });
      }
      expect(torch.memory().tensors - before).toBe(3);
      expect(param.grad).toBeNull();
    });
  });

  it('moves an average with amsgrad too, which has no static update', () => {
    torch.scope(() => {
      const param = torch.ones([2]).requiresGrad_();
      using optimizer = new optim.AdamW([param], { amsgrad: true, lr: 0.1 });
      const mean = torch.zeros([2]);
      param.grad = torch.ones([2]);
      optimizer.step({ average: { factor: 0.75, take: () => mean } });
      expect(mean).toBeCloseToTensor(param.detach().mul(0.25), { rtol: 1e-6 });
      expect(() => optimizer.staticUpdate()).toThrow(/found amsgrad for a static update/);
    });
  });

  it('takes states of before amsgrad and maximize were options', () => {
    torch.scope(() => {
      const param = torch.ones([2]).requiresGrad_();
      using optimizer = new optim.AdamW([param], { maximize: true });
      const { tensors, meta } = optimizer.stateDict();
      const [{ amsgrad: _, maximize: __, ...group } = {}] = meta.groups;
      optimizer.loadStateDict({ tensors, meta: { ...meta, groups: [group] } });
      expect(optimizer.groups[0]!.maximize).toBe(false);
      expect(optimizer.groups[0]!.amsgrad).toBe(false);
    });
  });

  it('refuses what it cannot work with', () => {
    torch.scope(() => {
      const param = torch.ones([2]).requiresGrad_();
      expect(() => new optim.AdamW([])).toThrow(/No parameters/);
      expect(() => new optim.AdamW([param, param])).toThrow(/given twice/);
      expect(() => new optim.AdamW([param], { betas: [0.9, 1] })).toThrow(
        /AdamW: found .* for betas, expected two/,
      );
      expect(() => new optim.SGD([param], { nesterov: true })).toThrow(/nesterov needs/);
      const sgd = new optim.SGD([param], { momentum: 0.9 });
      const adamw = new optim.AdamW([param]);
      expect(() => adamw.loadStateDict(sgd.stateDict())).toThrow(/State of SGD, expected AdamW/);
      const { meta } = adamw.stateDict();
      const load = (state: unknown) => () => adamw.loadStateDict(state as optim.OptimizerState);
      expect(load(undefined)).toThrow(/found undefined for a state, expected what stateDict/);
      expect(load({ tensors: {}, meta: 'x' })).toThrow(/found an object for a state/);
      expect(load({ tensors: { '0.step': 3 }, meta })).toThrow(/'0.step' is the number 3, expecte/);
    });
  });
});

describe('a state that does not fit', () => {
  const saved = (optimizer: optim.AdamW) => {
    const { tensors, meta } = optimizer.stateDict();
    return { tensors: { ...tensors }, meta: JSON.parse(JSON.stringify(meta)) };
  };
  type Saved = ReturnType<typeof saved>;
  const group = ({ meta }: Saved) => meta.groups[0];
  const broken: [string, (state: Saved) => void, RegExp][] = [
    ['params', (s) => Object.assign(group(s), { params: [] }), /group 0: params is no option/],
    ['an unknown option', (s) => Object.assign(group(s), { x: 1 }), /group 0: x is no option/],
    [
      'a key of prototypes',
      (s) => {
        s.meta.groups[0] = JSON.parse('{"__proto__":{"lr":1},"parameters":1}');
      },
      /__proto__ is no option/,
    ],
    ['an option missing', (s) => delete group(s).eps, /group 0 has no eps/],
    [
      'an option of another kind',
      (s) => Object.assign(group(s), { lr: '1' }),
      /lr is a string, expected a number/,
    ],
    [
      'an option of other length',
      (s) => Object.assign(group(s), { betas: [0.9] }),
      /betas is a list of a number/,
    ],
    [
      'an option out of range',
      (s) => Object.assign(group(s), { betas: [0.9, 1] }),
      /for betas, expected two numbers/,
    ],
    ['no groups', (s) => delete s.meta.groups, /no list of objects/],
    ['groups of nulls', (s) => Object.assign(s.meta, { groups: [null] }), /no list of objects/],
    [
      'other counts',
      (s) => Object.assign(group(s), { parameters: 2 }),
      /with 2 parameters, expected 1/,
    ],
    [
      'a scalar for a moment',
      (s) => Object.assign(s.tensors, { '0.exp_avg': torch.ones([]) }),
      /shape \[\].*\[2\]/,
    ],
    [
      'a moment of another dtype',
      (s) => Object.assign(s.tensors, { '0.exp_avg': torch.ones([2], { dtype: 'int64' }) }),
      /dtype int64, expected \[2\] and float32/,
    ],
    ['a moment missing', (s) => delete s.tensors['0.exp_avg_sq'], /has 2 tensors, expected step/],
    [
      'a stranger',
      (s) => Object.assign(s.tensors, { '0.constructor': torch.ones([2]) }),
      /belongs to nothing/,
    ],
    [
      'no such parameter',
      (s) => Object.assign(s.tensors, { '7.step': torch.ones([]) }),
      /belongs to nothing/,
    ],
  ];

  it.each(broken)('%s is refused, and nothing of it taken', (_, damage, message) => {
    torch.scope(() => {
      const param = torch.ones([2]).requiresGrad_();
      using optimizer = new optim.AdamW([param]);
      param.mul(2).sum().backward();
      optimizer.step();
      const before = JSON.stringify(optimizer.stateDict().meta);
      const state = saved(optimizer);
      damage(state);
      expect(() => optimizer.loadStateDict(state)).toThrow(message);
      expect(() => optimizer.loadStateDict(state)).toThrow(optim.OptimizerError);
      expect(JSON.stringify(optimizer.stateDict().meta)).toBe(before);
      expect(optimizer.stateDict().tensors['0.step']!.item()).toBe(1);
    });
  });
});

describe('PolySchedule', () => {
  it('decays by power and rises linearly in the warm-up', () => {
    const plain = new optim.PolySchedule({ total: 100 });
    expect(plain.factor(0)).toBe(1);
    expect(plain.factor(50)).toBeCloseTo(0.5 ** 0.9, 12);
    expect(plain.factor(100)).toBe(0);
    expect(plain.factor(120)).toBe(0);
    const warm = new optim.PolySchedule({ total: 100, power: 1, warmup: 10, warmupRatio: 0.1 });
    expect(warm.factor(0)).toBeCloseTo(0.1, 12);
    expect(warm.factor(5)).toBeCloseTo(0.55 * 0.95, 12);
    expect(warm.factor(10)).toBeCloseTo(0.9, 12);
    expect(() => new optim.PolySchedule({ total: 0 })).toThrow(/positive total/);
  });

  it('multiplies the base rate of every group', () => {
    torch.scope(() => {
      const params = initial();
      using optimizer = new optim.AdamW(groupsOf(params), { lr: 0.4 });
      new optim.PolySchedule({ total: 10, power: 1 }).apply(optimizer, 5);
      expect(optimizer.groups.map(({ lr }) => lr)).toEqual([0.2, 0.01]);
    });
  });
});

describe('parameters and options that do not do', () => {
  const leaf = () => torch.ones([2]).requiresGrad_();

  it('are refused in a sentence', () => {
    torch.scope(() => {
      expect(() => new optim.SGD([leaf().mul(2)], { lr: 1 })).toThrow(/it is no leaf/);
      expect(() => new optim.SGD(5 as never)).toThrow(/found the number 5 for parameters/);
      expect(() => new optim.SGD([leaf(), 'x'] as never)).toThrow(/found the string 'x' among/);
      const typo = { lrr: 1 } as never;
      expect(() => new optim.AdamW([leaf()], typo)).toThrow(/option 'lrr', expected one of lr, be/);
      const group = { params: [leaf()], weigthDecay: 0 } as never;
      expect(() => new optim.AdamW([group])).toThrow(/group of parameters: found the option 'wei/);
    });
  });

  it('come from any iterable', () => {
    torch.scope(() => {
      const two = new Set([leaf(), leaf()]).values();
      expect(new optim.SGD(two, { lr: 1 }).groups[0]!.params).toHaveLength(2);
      const named = new optim.SGD([{ params: new Set([leaf()]), name: 'one', lr: 2 }]).groups[0]!;
      expect([named.name, named.lr, named.initialLr]).toEqual(['one', 2, 2]);
    });
  });
});
