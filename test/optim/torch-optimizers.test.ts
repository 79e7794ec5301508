import { readFileSync } from 'node:fs';
import { optim, torch } from 'm3l';
import { describe, expect, it } from 'vitest';
import { giveGradients, groupsOf, initial } from './parameters.js';

const fixture = JSON.parse(
  readFileSync(new URL('../fixtures/optimizers.json', import.meta.url), 'utf8'),
) as Record<string, number[][][]>;

/** The steps that scripts/golden/optimizers.py writes. */
const written = [0, 1, 2, 9, 19];

/** Those of Rprop and SparseAdam, which have no decay. */
const plainGroupsOf = ([first, ...rest]: torch.Tensor[]) => [
  { params: [first!] },
  { params: rest, lr: 0.02 },
];

/** As `sparse` of scripts/golden/parameters.py. */
function makeSparse(params: torch.Tensor[], step: number): void {
  for (const param of params) {
    if (param.grad === null) continue;
    const [count, ...sizes] = param.shape as [number, ...number[]];
    const chosen = Array.from({ length: count }, (_, row) => row).filter(
      (row) => row % 2 === step % 2,
    );
    const rows = torch.tensor([0, ...chosen], { dtype: 'int64' });
    const values = param.grad.indexSelect(0, rows);
    param.grad = torch.sparseCooTensor(rows.unsqueeze(0), values, [count, ...sizes]);
  }
}

type Made = Pick<optim.Adam, 'step' | 'stateDict' | 'loadStateDict' | 'staticUpdate'> & Disposable;
const decoupledWeightDecay = true;
const betas: [number, number] = [0.8, 0.95];
const cases: Record<string, (params: torch.Tensor[]) => Made> = {
  adam: (p) => new optim.Adam(groupsOf(p), { weightDecay: 0.1 }),
  'adam-amsgrad': (p) =>
    new optim.Adam(groupsOf(p), { lr: 0.1, betas, amsgrad: true, maximize: true }),
  'adam-decoupled': (p) =>
    new optim.Adam(groupsOf(p), { lr: 0.1, weightDecay: 0.1, decoupledWeightDecay }),
  adamax: (p) => new optim.Adamax(groupsOf(p), { betas, weightDecay: 0.1 }),
  nadam: (p) => new optim.NAdam(groupsOf(p), { weightDecay: 0.1, momentumDecay: 0.01 }),
  'nadam-decoupled': (p) =>
    new optim.NAdam(groupsOf(p), { weightDecay: 0.1, decoupledWeightDecay, maximize: true }),
  radam: (p) => new optim.RAdam(groupsOf(p), { lr: 0.1, weightDecay: 0.1 }),
  'radam-decoupled': (p) =>
    new optim.RAdam(groupsOf(p), { weightDecay: 0.1, decoupledWeightDecay, betas: [0.8, 0.9] }),
  adagrad: (p) =>
    new optim.Adagrad(groupsOf(p), {
      lrDecay: 0.1,
      weightDecay: 0.1,
      initialAccumulatorValue: 0.2,
    }),
  adadelta: (p) => new optim.Adadelta(groupsOf(p), { rho: 0.8, weightDecay: 0.1, maximize: true }),
  rmsprop: (p) => new optim.RMSprop(groupsOf(p), { alpha: 0.9, weightDecay: 0.1 }),
  'rmsprop-centered': (p) =>
    new optim.RMSprop(groupsOf(p), { alpha: 0.9, momentum: 0.5, centered: true }),
  adafactor: (p) => new optim.Adafactor(groupsOf(p), { lr: 0.1 }),
  'adafactor-options': (p) =>
    new optim.Adafactor(groupsOf(p), {
      beta2Decay: -0.5,
      eps: [1e-3, 0.1],
      d: 1.5,
      weightDecay: 0.1,
      maximize: true,
    }),
  asgd: (p) => new optim.ASGD(groupsOf(p), { lambd: 0.01, alpha: 0.5, t0: 5, weightDecay: 0.1 }),
  'asgd-default': (p) => new optim.ASGD(groupsOf(p), { maximize: true }),
  rprop: (p) => new optim.Rprop(plainGroupsOf(p)),
  'rprop-options': (p) =>
    new optim.Rprop(plainGroupsOf(p), {
      etas: [0.3, 1.5],
      stepSizes: [0.005, 0.05],
      maximize: true,
    }),
  'sparse-adam': (p) => new optim.SparseAdam(plainGroupsOf(p), { lr: 0.1, betas }),
  'sparse-adam-maximize': (p) => new optim.SparseAdam(plainGroupsOf(p), { maximize: true }),
  'adamw-amsgrad': (p) => new optim.AdamW(groupsOf(p), { lr: 0.1, amsgrad: true, maximize: true }),
  'adamw-maximize': (p) => new optim.AdamW(groupsOf(p), { lr: 0.1, maximize: true }),
  'sgd-maximize': (p) =>
    new optim.SGD(groupsOf(p), {
      lr: 0.1,
      momentum: 0.9,
      dampening: 0.3,
      weightDecay: 0.05,
      maximize: true,
    }),
};

function expectFixture(params: torch.Tensor[], name: string, step: number): void {
  for (const [i, param] of params.entries()) {
    const expected = fixture[name]![written.indexOf(step)]![i]!;
    expect(param.detach().flatten()).toBeCloseToTensor(expected, { rtol: 1e-6, atol: 1e-7 });
  }
}

describe.each(Object.entries(cases))('%s', (name, make) => {
  it('equals 20 steps of PyTorch, null gradients, groups and a resumption included', () => {
    torch.scope(() => {
      const params = initial();
      let optimizer = make(params);
      for (let step = 0; step < 20; step++) {
        if (step === 10) {
          const { tensors, meta } = optimizer.stateDict();
          const second = make(params);
          second.loadStateDict({ tensors, meta: JSON.parse(JSON.stringify(meta)) });
          optimizer[Symbol.dispose]();
          optimizer = second;
        }
        giveGradients(params, step);
        if (name.startsWith('sparse')) makeSparse(params, step);
        optimizer.step();
        if (written.includes(step)) expectFixture(params, name, step);
      }
      optimizer[Symbol.dispose]();
    });
  });
});

describe('an optimizer over lists', () => {
  const leaf = () => torch.ones([2]).requiresGrad_();

  it('names itself where it has no static update', () => {
    torch.scope(() => {
      const expected = /found RAdam for a static update \(a CUDA graph\), expected .*AdamW or SGD/;
      expect(() => new optim.RAdam([leaf()]).staticUpdate()).toThrow(expected);
    });
  });

  it('refuses options out of range by name, value and what they may be', () => {
    torch.scope(() => {
      const refused = (options: object) => () => new optim.Adam([leaf()], options);
      expect(refused({ lr: -1 })).toThrow(/Adam: found the number -1 for lr, expected a number th/);
      expect(refused({ lr: null })).toThrow(/found null for lr/);
      expect(refused({ betas: [0.9, 1] })).toThrow(/for betas, expected two numbers in \[0, 1\)/);
      expect(refused({ amsgrad: 1 })).toThrow(/found the number 1 for amsgrad, expected true or/);
      expect(refused({ lrr: 1 })).toThrow(/Adam: found the option 'lrr', expected one of lr/);
      expect(() => new optim.RMSprop([leaf()], { alpha: 2 })).toThrow(/for alpha, expected a numb/);
      expect(refused({ lr: Number.NaN })).toThrow(optim.OptimizerError);
    });
  });

  it('refuses parameters and gradients that are not for it', () => {
    torch.scope(() => {
      const complex = torch
        .viewAsComplex(torch.ones([2, 2]))
        .clone()
        .requiresGrad_();
      expect(() => new optim.Adafactor([complex])).toThrow(/found complex64, expected a float/);
      const param = leaf();
      param.grad = torch.ones([2]);
      using sparse = new optim.SparseAdam([param]);
      expect(() => sparse.step()).toThrow(/shape \[2\] that is not sparse/);
      expect(sparse.stateDict().tensors).toEqual({});
      const refused = (options: object) => () => new optim.Rprop([leaf()], options);
      expect(refused({ etas: [1.1, 1.2] })).toThrow(/for etas, expected a number in \(0, 1\)/);
      expect(refused({ stepSizes: [2, 1] })).toThrow(/expected two numbers, ascending/);
      expect(refused({ weightDecay: 1 })).toThrow(/found the option 'weightDecay'/);
      const eps = [null, null] as never;
      expect(() => new optim.Adafactor([leaf()], { eps })).toThrow(/or null for the first/);
      expect(() => new optim.Adafactor([leaf()], { d: 0.5 })).toThrow(/a number from 1 on/);
    });
  });

  it('takes the state that the options of each group ask for', () => {
    torch.scope(() => {
      const params = [leaf(), leaf()];
      const groups = () => [{ params: [params[0]!], amsgrad: true }, { params: [params[1]!] }];
      using optimizer = new optim.Adam(groups());
      for (const param of params) param.grad = torch.ones([2]);
      optimizer.step();
      const state = optimizer.stateDict();
      const names = Object.keys(state.tensors).filter((name) => name.endsWith('max_exp_avg_sq'));
      expect(names).toEqual(['0.max_exp_avg_sq']);
      using plain = new optim.Adam([{ params: [params[0]!] }, { params: [params[1]!] }]);
      plain.loadStateDict(state);
      expect(plain.groups.map(({ amsgrad }) => amsgrad)).toEqual([true, false]);
      const moved = { '1.max_exp_avg_sq': state.tensors['0.max_exp_avg_sq']! };
      const wrong = { ...state, tensors: { ...state.tensors, ...moved } };
      expect(() => plain.loadStateDict(wrong)).toThrow(/'1.max_exp_avg_sq' belongs to nothing/);
    });
  });

  it('moves complex parameters as pairs of real numbers', () => {
    torch.scope(() => {
      const pairs = torch.tensor([
        [1, 2],
        [3, -4],
      ]);
      const real = pairs.clone().requiresGrad_();
      const complex = torch.viewAsComplex(pairs).clone().requiresGrad_();
      real.grad = pairs.clone();
      complex.grad = torch.viewAsComplex(pairs).clone();
      using one = new optim.NAdam([real]);
      using two = new optim.NAdam([complex]);
      one.step();
      two.step();
      expect(torch.viewAsReal(complex.detach()).toArray()).toEqual(real.detach().toArray());
    });
  });
});
