import { nn, optim, torch } from 'm3l';
import { mixSeed, Stream } from 'm3l/data';
import {
  EmaTeacher,
  emaFactor,
  maskWeights,
  parameterGroups,
  pseudoLabels,
  pseudoLoss,
  pseudoWeight,
  resolveLearningOptions,
  scheduledConfidence,
  seededMasks,
  semiSupervisedLosses,
} from 'm3l/learning';
import { createModel, fillMasked, fillModality } from 'm3l/models';
import { describe, expect, it } from 'vitest';

const rgb = { name: 'rgb', kind: 'rgb' } as const;
const depth = { name: 'depth', kind: 'depth' } as const;

/** An optimiser that no gradient reaches: the teacher moves everything itself. */
const idle = (model: nn.Module) => new optim.SGD(model.parameters(), { lr: 1 });

function tinyModel(options: { maskToken?: boolean } = {}) {
  return createModel({ name: 'linear-fusion', backbone: 'mit-b0', numClasses: 3, ...options });
}

describe('seededMasks', () => {
  it('draws each modality and none equally often', () => {
    const drawn = seededMasks({ modalities: 2, seed: 1 })(0, 9000);
    for (const modality of [-1, 0, 1]) {
      const share = drawn.filter((lost) => lost === modality).length / drawn.length;
      expect(share).toBeGreaterThan(0.31);
      expect(share).toBeLessThan(0.36);
    }
  });

  it('draws in proportion to the weights given by name', () => {
    const weights = maskWeights({ depth: 2, none: 0 }, ['rgb', 'depth']);
    const drawn = seededMasks({ modalities: 2, seed: 1, weights })(0, 9000);
    const share = (lost: number) => drawn.filter((m) => m === lost).length / drawn.length;
    expect(share(-1)).toBe(0);
    expect(share(0)).toBeCloseTo(1 / 3, 1);
    expect(share(1)).toBeCloseTo(2 / 3, 1);
    const equal = maskWeights({}, ['rgb', 'depth']);
    expect(seededMasks({ modalities: 2, seed: 1, weights: equal })(3, 50)).toEqual(
      seededMasks({ modalities: 2, seed: 1 })(3, 50),
    );
  });

  it('refuses weights of unknown names, negative ones and none at all', () => {
    const refused = (given: Record<string, number>) => () => maskWeights(given, ['rgb', 'depth']);
    expect(refused({ thermal: 1 })).toThrow(/'thermal' in maskWeights, expected rgb, depth, none/);
    expect(refused({ rgb: -1 })).toThrow(/expected numbers of 0 or more/);
    expect(refused({ rgb: 0, depth: 0, none: 0 })).toThrow(/not all 0/);
  });

  it('depends on seed and iteration, and on nothing else', () => {
    const masks = seededMasks({ modalities: 3, seed: 7 });
    const first = masks(12, 40);
    masks(13, 5);
    expect(masks(12, 40)).toEqual(first);
    expect(masks(13, 40)).not.toEqual(first);
    expect(seededMasks({ modalities: 3, seed: 8 })(12, 40)).not.toEqual(first);
  });

  it('draws independently for a teacher', () => {
    const draw = { modalities: 2, seed: 1 };
    const count = 9000;
    const student = seededMasks(draw)(0, count);
    const teacher = seededMasks({ ...draw, stream: Stream.teacherMasks })(0, count);
    const equal = student.filter((lost, i) => lost === teacher[i]).length / count;
    expect(equal).toBeGreaterThan(0.31);
    expect(equal).toBeLessThan(0.36);
  });

  it('keeps seeds beyond 32 bits apart', () => {
    expect(mixSeed(1)).not.toBe(mixSeed(1 + 2 ** 32));
    expect(mixSeed(1, 2)).not.toBe(mixSeed(2, 1));
  });
});

describe('EmaTeacher', () => {
  it('has the factor min(1 - 1/(t + 1), decay)', () => {
    const expected = [0, 1 / 2, 2 / 3, 3 / 4, 98 / 99, 0.99, 0.99];
    const factors = [0, 1, 2, 3, 98, 99, 500].map((t) => emaFactor(t));
    for (const [index, factor] of factors.entries()) {
      expect(factor).toBeCloseTo(expected[index]!, 12);
    }
  });

  it('copies the student first, then averages parameters; the norms’ statistics stay', () => {
    torch.scope(() => {
      using student = tinyModel();
      using model = tinyModel();
      const teacher = new EmaTeacher(model, student, {
        mode: 'eval',
        decay: 0.99,
        freezeBatchNorm: true,
      });
      const of = (name: string) => {
        const find = (list: [string, torch.Tensor][]) => list.find(([key]) => key === name)![1];
        return [find(model.namedParameters()), find(student.namedParameters())] as const;
      };
      const [ours, theirs] = of('decoder.linear_pred.bias');
      const start = theirs.detach().clone();
      expect(ours.toArray()).toEqual(start.toArray());
      expect(ours.requiresGrad).toBe(false);
      torch.noGrad(() => theirs.add_(1));
      expect(teacher.step(idle(student), 0)).toBe(0);
      expect(ours.toArray()).toEqual(theirs.toArray());
      torch.noGrad(() => theirs.add_(1));
      expect(teacher.step(idle(student), 3)).toBe(0.75);
      const expected = start.add(1.25);
      expect(ours.sub(expected).abs().max().item()).toBeLessThan(1e-6);
      const buffers = new Map(model.namedBuffers());
      const before = new Map([...buffers].map(([name, buffer]) => [name, buffer.clone()]));
      torch.noGrad(() => student.namedBuffers().map(([, buffer]) => buffer.add_(1)));
      teacher.step(idle(student), 3);
      // What else training gathers goes along: the shares of what the heads say.
      const moved = [...buffers].map(([name, buffer]) => [
        name,
        buffer.sub(before.get(name)!).abs().max().item(),
      ]);
      expect(moved).toContainEqual(['head_shares', 0.25]);
      expect(moved.filter(([, by]) => by === 0).length).toBe(moved.length - 1);
      expect(moved.length).toBeGreaterThan(1);
    });
  });

  it('is moved once by either hand: in the optimiser’s pass, and the rest after it', () => {
    torch.scope(() => {
      using student = tinyModel();
      using model = tinyModel();
      const options = { mode: 'eval', decay: 0.99, freezeBatchNorm: true } as const;
      const teacher = new EmaTeacher(model, student, options);
      const before = student.parameters().map((parameter) => parameter.detach().clone());
      // Every second parameter has a gradient, so that the optimiser takes its average along.
      for (const [i, parameter] of student.parameters().entries()) {
        torch.noGrad(() => parameter.add_(0.5));
        if (i % 2 === 0) parameter.grad = parameter.onesLike().detach();
      }
      using optimizer = new optim.AdamW(student.parameters(), { lr: 0.25, weightDecay: 0 });
      expect(teacher.step(optimizer, 1)).toBe(0.5);
      for (const [i, parameter] of student.parameters().entries()) {
        const expected = before[i]!.lerp(parameter.detach(), 0.5);
        const off = model.parameters()[i]!.sub(expected).abs().max().item();
        expect(off).toBeLessThan(1e-6);
        const moved = i % 2 === 0 ? 0.25 : 0.5;
        expect(parameter.sub(before[i]!).max().item()).toBeCloseTo(moved, 5);
      }
    });
  });

  it('takes the norms’ statistics along where BatchNorm is not frozen', () => {
    torch.scope(() => {
      using student = tinyModel();
      using model = tinyModel();
      const options = { mode: 'eval', decay: 0.99, freezeBatchNorm: false } as const;
      const teacher = new EmaTeacher(model, student, options);
      const statistics = ([name]: [string, unknown]) => name.endsWith('running_mean');
      const [, ours] = model.namedBuffers().find(statistics)!;
      const [, theirs] = student.namedBuffers().find(statistics)!;
      const expected = ours.add(0.5);
      torch.noGrad(() => theirs.add_(1));
      teacher.step(idle(student), 1);
      expect(ours.sub(expected).abs().max().item()).toBeLessThan(1e-6);
      const norms = model.modules().filter((module) => module instanceof nn.BatchNorm2d);
      expect(norms.length).toBeGreaterThan(0);
      expect(norms.every((norm) => (norm as nn.BatchNorm2d).frozen)).toBe(true);
    });
  });
});

describe('parameterGroups', () => {
  it('parts encoder, norms and decoder as the authors do, alpha by choice', () => {
    using model = tinyModel();
    const names = (alpha: 'trained' | 'untrained' | 'fixed') =>
      parameterGroups(model, { alpha }).map(({ name }) => name);
    expect(names('untrained')).toEqual(['encoder', 'encoder-norm', 'decoder']);
    expect(names('trained')).toEqual(['encoder', 'encoder-norm', 'decoder', 'alpha']);
    expect(names('fixed')).toEqual(['encoder', 'encoder-norm', 'decoder']);
    const alpha = new Map(model.namedParameters()).get('alpha')!;
    expect(alpha.requiresGrad).toBe(false);
    const groups = parameterGroups(model, {
      encoderLr: 1,
      decoderLr: 2,
      weightDecay: 3,
      alphaRate: 4,
    });
    expect(groups.map(({ lr, weightDecay }) => [lr, weightDecay])).toEqual([
      [1, 3],
      [1, 0],
      [2, 3],
      [8, 0],
    ]);
    const count = groups.reduce((total, { params }) => total + params.length, 0);
    expect(count).toBe(model.parameters().length);
    const norms = new Set(groups[1]!.params);
    for (const [name, parameter] of model.namedParameters()) {
      const wanted = name.startsWith('encoder.') && name.includes('norm');
      expect(norms.has(parameter), name).toBe(wanted);
    }
  });
});

describe('what of the pseudo loss follows a schedule', () => {
  it('rises to λ over its warm-up, and is λ at once without one', () => {
    const weights = [0, 5, 10, 99].map((t) => pseudoWeight({ lambda: 2, lambdaWarmup: 10 }, t));
    expect(weights).toEqual([0, 1, 2, 2]);
    expect(pseudoWeight({ lambda: 2, lambdaWarmup: 0 }, 0)).toBe(2);
  });

  it('is 0 in the supervised first stage', () => {
    const stage = { lambda: 2, lambdaWarmup: 0, supervisedIterations: 3 };
    expect([0, 2, 3].map((t) => pseudoWeight(stage, t))).toEqual([0, 0, 2]);
  });

  it('moves a threshold that is a number from where it starts, and no other', () => {
    const confidenceSchedule = { from: 0.5, iterations: 10 };
    const at = (confidenceThreshold: number | null | 'adaptive') => (t: number) =>
      scheduledConfidence({ confidenceThreshold, confidenceSchedule }, t);
    expect([0, 5, 10, 99].map(at(0.9))).toEqual([0.5, expect.closeTo(0.7), 0.9, 0.9]);
    expect([at(null)(5), at('adaptive')(5)]).toEqual([null, null]);
    const constant = { confidenceThreshold: 0.9, confidenceSchedule: null };
    expect(scheduledConfidence(constant, 5)).toBeNull();
  });
});

describe('fill', () => {
  it('replaces the masked modality of each sample alone', () => {
    torch.scope(() => {
      const inputs = [torch.full([3, 3, 2, 2], 5), torch.full([3, 3, 2, 2], Number.NaN)];
      const filled = fillMasked(inputs, [1, 0, -1], [rgb, depth], 'mean');
      const first = filled.map((input) => input.select(1, 0).select(1, 0).toArray() as number[][]);
      expect(first[0]!.map((row) => row[0])).toEqual([5, 0, 5]);
      expect(first[1]!.map((row) => row[0])).toEqual([0.5, Number.NaN, Number.NaN]);
    });
  });

  it('takes the middle of a range as the depth is normalised', () => {
    torch.scope(() => {
      const like = torch.zeros([1, 3, 1, 1]);
      expect(
        fillModality(like, { ...depth, mean: 0.7, std: 0.1 }, 'mean')
          .mean()
          .item(),
      ).toBeCloseTo(-2, 5);
    });
  });

  it('draws noise in [0, 1): one value for the three channels of depth', () => {
    torch.scope(() => {
      const like = torch.empty([2, 3, 8, 8]);
      const drawn = () => fillModality(like, depth, 'noise', new torch.Generator().manualSeed(3));
      expect(drawn().toArray()).toEqual(drawn().toArray());
      expect(drawn().select(1, 0).toArray()).toEqual(drawn().select(1, 2).toArray());
      const colours = fillModality(like, rgb, 'noise');
      expect(colours.select(1, 0).toArray()).not.toEqual(colours.select(1, 2).toArray());
      expect(colours.min().item()).toBeGreaterThanOrEqual(0);
      expect(colours.max().item()).toBeLessThan(1);
      expect(fillModality(like, rgb, 'zeros').abs().max().item()).toBe(0);
    });
  });
});

describe('pseudo labels', () => {
  it('are the argmax, ignored on padding and where the teacher is unsure', () => {
    torch.scope(() => {
      const ensemble = torch.tensor([[[[5, 0, 1]], [[0, 0.1, 9]]]]); // [1, 2, 1, 3]
      const valid = torch.tensor([[[1, 1, 0]]], { dtype: 'bool' });
      const labels = (pseudoOnPadding: boolean, confidenceThreshold: number | null) =>
        pseudoLabels(ensemble, valid, { pseudoOnPadding, confidenceThreshold }).flatten().toArray();
      expect(labels(true, null)).toEqual([0, 1, 1]);
      expect(labels(false, null)).toEqual([0, 1, 255]);
      expect(labels(true, 0.9)).toEqual([0, 255, 1]);
    });
  });

  it('leave a head alone with the samples that lost its modality, where told to', () => {
    torch.scope(() => {
      const heads = [1, 2, 3].map((seed) => {
        const generator = new torch.Generator().manualSeed(seed);
        return torch.randn([3, 2, 2, 2], { generator }).requiresGrad_();
      });
      const truth = torch.tensor([0, 1, 1, 0, 1, 1, 0, 0, 0, 1, 0, 1], {
        shape: [3, 2, 2],
        dtype: 'int64',
      });
      const ohem = { threshold: 1, minKept: 1 };
      const masked = [0, -1, 1];
      const given = [masked, torch.tensor(masked, { dtype: 'int64' })];
      for (const absent of given) {
        const { sup, pseudo } = semiSupervisedLosses(heads, truth, truth, ohem, absent);
        const rows = [[1, 2], [0, 1], [0, 1, 2]]; // biome-ignore format: a row a head
        const wanted = heads.map((head, m) => {
          const index = torch.tensor(rows[m]!, { dtype: 'int64' });
          const own = head.detach().indexSelect(0, index).logSoftmax(1);
          const picked = own.gather(1, truth.indexSelect(0, index).unsqueeze(1));
          return -picked.mean().item();
        });
        const mean = wanted.reduce((a, b) => a + b) / 3;
        expect(sup.item()).toBeCloseTo(mean, 5);
        expect(pseudo.item()).toBeCloseTo(mean, 5);
        for (const head of heads) head.grad = null;
        sup.backward();
        expect(heads[0]!.grad!.select(0, 0).abs().max().item()).toBe(0);
        expect(heads[1]!.grad!.select(0, 2).abs().max().item()).toBe(0);
        expect(heads[2]!.grad!.select(0, 0).abs().max().item()).toBeGreaterThan(0);
      }
    });
  });

  it('give a loss of 0 where all are ignored', () => {
    torch.scope(() => {
      const head = torch.randn([1, 2, 2, 2]).logSoftmax(1).requiresGrad_();
      const loss = pseudoLoss([head], torch.full([1, 2, 2], 255, { dtype: 'int64' }));
      loss.backward();
      expect(loss.item()).toBe(0);
      expect(head.grad!.abs().max().item()).toBe(0);
    });
  });
});

describe('resolveLearningOptions', () => {
  it('puts what is given over the preset of the fidelity', () => {
    const paper = resolveLearningOptions({ fidelity: 'paper' });
    expect(paper).toMatchObject({
      teacherMode: 'train',
      alpha: 'untrained',
      pseudoOnPadding: true,
    });
    const mended = resolveLearningOptions({ alpha: 'fixed', ohem: { minKeptFraction: 0.5 } });
    expect(mended).toMatchObject({ teacherMode: 'eval', alpha: 'fixed', pseudoOnPadding: false });
    expect(mended.ohem).toEqual({ threshold: 0.7, minKeptFraction: 0.5 });
    expect(resolveLearningOptions({ lambda: undefined }).lambda).toBe(1);
  });
});
