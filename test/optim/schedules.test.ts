import { readFileSync } from 'node:fs';
import { optim, torch } from 'm3l';
import { describe, expect, it } from 'vitest';

/** Rates of both groups and the momentum of the first, from scripts/golden/optimizers.py. */
const fixture = JSON.parse(
  readFileSync(new URL('../fixtures/schedules.json', import.meta.url), 'utf8'),
) as Record<string, number[][]>;

type Scheduled = optim.SGD;
const make: Record<string, (o: Scheduled) => optim.Schedule> = {
  LambdaLR: (o) => new optim.LambdaLR(o, { lrLambda: [(t) => 0.9 ** t, (t) => 1 / (1 + t)] }),
  MultiplicativeLR: (o) => new optim.MultiplicativeLR(o, { lrLambda: () => 0.9 }),
  StepLR: (o) => new optim.StepLR(o, { stepSize: 4, gamma: 0.3 }),
  MultiStepLR: (o) => new optim.MultiStepLR(o, { milestones: [3, 3, 11], gamma: 0.5 }),
  ConstantLR: (o) => new optim.ConstantLR(o, { totalIters: 6 }),
  LinearLR: (o) => new optim.LinearLR(o, { totalIters: 7 }),
  ExponentialLR: (o) => new optim.ExponentialLR(o, { gamma: 0.8 }),
  PolynomialLR: (o) => new optim.PolynomialLR(o, { totalIters: 12, power: 2 }),
  CosineAnnealingLR: (o) => new optim.CosineAnnealingLR(o, { tMax: 6, etaMin: 0.001 }),
  CosineAnnealingWarmRestarts: (o) =>
    new optim.CosineAnnealingWarmRestarts(o, { t0: 3, tMult: 2, etaMin: 0.001 }),
  OneCycleLR: (o) => new optim.OneCycleLR(o, { maxLr: [0.5, 0.2], totalSteps: 21 }),
  'OneCycleLR-three': (o) =>
    new optim.OneCycleLR(o, {
      maxLr: 0.5,
      epochs: 3,
      stepsPerEpoch: 7,
      annealStrategy: 'linear',
      threePhase: true,
    }),
  CyclicLR: (o) =>
    new optim.CyclicLR(o, {
      baseLr: 0.01,
      maxLr: 0.1,
      stepSizeUp: 3,
      stepSizeDown: 5,
      mode: 'triangular2',
    }),
  'CyclicLR-exp': (o) =>
    new optim.CyclicLR(o, {
      baseLr: [0.01, 0.02],
      maxLr: 0.1,
      stepSizeUp: 4,
      mode: 'exp_range',
      gamma: 0.95,
    }),
  'CyclicLR-scaled': (o) =>
    new optim.CyclicLR(o, {
      baseLr: 0.01,
      maxLr: [0.1, 0.3],
      stepSizeUp: 3,
      stepSizeDown: 2,
      scaleFn: (cycle) => 1 / cycle ** 2,
      baseMomentum: 0.7,
    }),
  'CyclicLR-iterations': (o) =>
    new optim.CyclicLR(o, {
      baseLr: 0.01,
      maxLr: 0.1,
      stepSizeUp: 3,
      scaleFn: (step) => 0.9 ** step,
      scaleMode: 'iterations',
    }),
  SequentialLR: (o) =>
    new optim.SequentialLR(o, {
      schedulers: [
        new optim.LinearLR(o, { startFactor: 0.1, totalIters: 4 }),
        new optim.CosineAnnealingLR(o, { tMax: 8 }),
        new optim.ExponentialLR(o, { gamma: 0.9 }),
      ],
      milestones: [4, 12],
    }),
  ReduceLROnPlateau: (o) =>
    new optim.ReduceLROnPlateau(o, { factor: 0.5, patience: 1, cooldown: 2, minLr: [0.01, 0.04] }),
  'ReduceLROnPlateau-max': (o) =>
    new optim.ReduceLROnPlateau(o, {
      mode: 'max',
      patience: 2,
      threshold: 0.3,
      thresholdMode: 'abs',
    }),
};

function twoGroups(): Scheduled {
  const groups = [
    { params: [torch.zeros([1]).requiresGrad_()] },
    { params: [torch.zeros([1]).requiresGrad_()], lr: 0.05 },
  ];
  return new optim.SGD(groups, { lr: 0.1, momentum: 0.7 });
}

function expectRow(optimizer: Scheduled, row: number[]): void {
  const found = [...optimizer.groups.map(({ lr }) => lr), optimizer.groups[0]!.momentum];
  for (const [i, value] of found.entries()) {
    expect(Math.abs(value - row[i]!)).toBeLessThanOrEqual(1e-12 * Math.max(1, Math.abs(row[i]!)));
  }
}

function stepOnce(schedule: optim.Schedule, step: number): void {
  const measure = 1 / (1 + Math.min(step, 4)) + Math.floor(step / 12);
  if (schedule instanceof optim.ReduceLROnPlateau) schedule.step(measure);
  else schedule.step();
}

describe.each(Object.entries(make))('%s', (name, schedule) => {
  it('equals 20 steps of PyTorch, resumed half-way from plain JSON', () => {
    torch.scope(() => {
      let optimizer = twoGroups();
      let ours = schedule(optimizer);
      expectRow(optimizer, fixture[name]![0]!);
      for (let step = 0; step < 20; step++) {
        if (step === 10) {
          const saved = JSON.parse(JSON.stringify([optimizer.stateDict().meta, ours.stateDict()]));
          optimizer = twoGroups();
          ours = schedule(optimizer);
          optimizer.loadStateDict({ tensors: {}, meta: saved[0] });
          ours.loadStateDict(saved[1]);
          expectRow(optimizer, fixture[name]![step]!);
        }
        stepOnce(ours, step);
        expectRow(optimizer, fixture[name]![step + 1]!);
      }
      expect(ours.getLastLr()).toEqual(optimizer.groups.map(({ lr }) => lr));
    });
  });
});

describe('a schedule', () => {
  it('refuses what it cannot work with, by name and value', () => {
    torch.scope(() => {
      const o = twoGroups();
      const refused: [() => unknown, RegExp][] = [
        [() => new optim.StepLR(o, { stepSize: 0 }), /StepLR: found the number 0 for stepSize, ex/],
        [() => new optim.StepLR(o, {} as never), /expected a positive integer/],
        [() => new optim.StepLR({} as never, { stepSize: 1 }), /expected an optimizer/],
        [() => new optim.LinearLR(o, { startFactor: 0 }), /for startFactor, expected a positive/],
        [() => new optim.LambdaLR(o, { lrLambda: [() => 1] }), /found 1 values, .* of 2 groups/],
        [() => new optim.OneCycleLR(o, { maxLr: 1 }), /found the number 0 for totalSteps/],
        [() => new optim.ReduceLROnPlateau(o).step(), /found undefined for the measure/],
        [
          () =>
            new optim.SequentialLR(o, {
              schedulers: [new optim.ReduceLROnPlateau(o)],
              milestones: [],
            }),
          /scheduler 0 unfit/,
        ],
        [
          () => {
            const plain = new optim.Adagrad([torch.zeros([1]).requiresGrad_()]);
            return new optim.CyclicLR(plain, { baseLr: 0, maxLr: 1 });
          },
          /without momentum and betas, expected .*cycleMomentum: false/,
        ],
      ];
      for (const [act, message] of refused) expect(act).toThrow(message);
      const once = new optim.OneCycleLR(o, { maxLr: 1, totalSteps: 1, pctStart: 1 });
      once.step();
      expect(() => once.step()).toThrow(/found step 2, expected no more than totalSteps, 1/);
    });
  });

  it('refuses the state of another, and takes nothing of it', () => {
    torch.scope(() => {
      const o = twoGroups();
      const step = new optim.StepLR(o, { stepSize: 2 });
      const state = step.stateDict();
      const other = new optim.ExponentialLR(o, { gamma: 0.5 });
      expect(() => other.loadStateDict(state)).toThrow(
        /state of the string 'StepLR', expected Exp/,
      );
      const short = { ...state, lastLr: [1] };
      expect(() => step.loadStateDict(short)).toThrow(/expected an epoch from 0 and 2 rates/);
      expect(step.stateDict()).toEqual(state);
    });
  });

  it('moves the first of betas where the optimizer has them', () => {
    torch.scope(() => {
      const o = new optim.Adam([torch.zeros([1]).requiresGrad_()]);
      new optim.OneCycleLR(o, { maxLr: 0.1, totalSteps: 10 });
      expect(o.groups[0]!.betas).toEqual([0.95, 0.999]);
    });
  });
});
