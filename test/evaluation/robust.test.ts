import { torch } from 'm3l';
import { type Batch, normalisationOf } from 'm3l/data';
import {
  ConfusionMatrix,
  classMap,
  contactSheet,
  evaluateRobust,
  missingSets,
  modalityPicture,
  predictMissing,
} from 'm3l/evaluation';
import { createModel } from 'm3l/models';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';

const specs = [
  { name: 'rgb', kind: 'rgb' },
  { name: 'depth', kind: 'depth' },
] as const;

function model(maskToken = true) {
  torch.manualSeed(maskToken ? 1 : 2);
  return createModel({ name: 'linear-fusion', backbone: 'mit-b0', numClasses: 3, maskToken });
}

/** Inputs of 32 × 32, labels of `size`. */
function batch(seed: number, count: number, size: readonly [number, number] = [32, 32]): Batch {
  return torch.detached(() => {
    const generator = new torch.Generator().manualSeed(seed);
    return {
      names: Array.from({ length: count }, (_, i) => `${seed}-${i}`),
      modalities: [
        torch.randn([count, 3, 32, 32], { generator }),
        torch.rand([count, 3, 32, 32], { generator }),
      ],
      labels: torch.randint(0, 3, [count, ...size], { dtype: 'int64', generator }),
      valid: null,
    };
  });
}

describe('missingSets', () => {
  it('lists each one, all subsets, or what is given', () => {
    expect(missingSets('each', 2)).toEqual([[], [0], [1]]);
    expect(missingSets('each', 1)).toEqual([[]]);
    expect(missingSets('subsets', 3)).toEqual([[], [0], [1], [2], [0, 1], [0, 2], [1, 2]]);
    expect(missingSets([[1]], 2)).toEqual([[1]]);
    expect(() => missingSets([[0, 1]], 2)).toThrow(/all 2/);
    expect(() => missingSets([[2]], 2)).toThrow(/modality 2/);
  });
});

describe('evaluateRobust', () => {
  it('reports every network, head and case; the headline is the ensemble asked for, first', async () => {
    using student = model();
    using teacher = model();
    student.train();
    const seen: number[] = [];
    const report = await evaluateRobust({
      models: { student, teacher },
      headline: 'teacher',
      specs,
      batches: [batch(1, 2), batch(2, 1, [24, 40])],
      onProgress: (images) => seen.push(images),
    });
    expect(seen).toEqual([2, 3]);
    expect(report).toMatchObject({ images: 3, fill: null });
    expect(report.models.map(({ model: name }) => name)).toEqual(['teacher', 'student']);
    const { heads } = report.models[0]!;
    expect(heads.map(({ head }) => head)).toEqual(['rgb', 'depth', 'ensemble']);
    expect(heads[2]!.cases.map(({ name }) => name)).toEqual([
      'all',
      'rgb missing',
      'depth missing',
    ]);
    const [all, rgb, depth] = heads[2]!.cases.map(({ meanIoU }) => meanIoU);
    expect(report.robustMeanIoU).toBeCloseTo((all! + rgb! + depth!) / 3, 12);
    expect(student.training).toBe(true);

    // By hand, for one case.
    await torch.scope(async () => {
      using matrix = new ConfusionMatrix(3);
      teacher.eval();
      for (const { modalities, labels } of [batch(1, 2), batch(2, 1, [24, 40])]) {
        const { ensemble } = torch.noGrad(() => teacher.forward([modalities[0]!, null]));
        matrix.add(classMap(ensemble, labels!.shape.slice(1)), labels!);
        torch.dispose([modalities, labels]);
      }
      expect(matrix.metrics().meanIoU).toBeCloseTo(depth!, 12);
    });
  });

  it('fills for a model without a mask token, and says with what', async () => {
    using student = model(false);
    const evaluate = (fill: 'zeros' | 'noise') =>
      evaluateRobust({ models: { student }, specs, batches: [batch(1, 2)], fill, seed: 3 });
    const zeros = await evaluate('zeros');
    expect(zeros.fill).toBe('zeros');
    const noise = await evaluate('noise');
    expect(noise.fill).toBe('noise');
    expect(await evaluate('noise')).toEqual(noise);
    expect(noise.models).not.toEqual(zeros.models);
  });

  it('has no robust mean where a case of it was not evaluated', async () => {
    using student = model();
    const report = await evaluateRobust({
      models: { student },
      specs,
      batches: [batch(1, 1)],
      missing: [[1]],
    });
    expect(report.robustMeanIoU).toBeNull();
    expect(report.models[0]!.heads[0]!.cases.map(({ missing }) => missing)).toEqual([['depth']]);
  });

  it('refuses a headline that is not among the models, and none at all', async () => {
    using student = model();
    const evaluate = (models: Record<string, typeof student>, headline?: string) =>
      evaluateRobust({ models, headline, specs, batches: [] });
    await expect(evaluate({ student }, 'teacher')).rejects.toThrow(/are student: expected teacher/);
    await expect(evaluate({})).rejects.toThrow(/are none: expected at least one/);
  });

  it('refuses an empty set and labels out of range', async () => {
    using student = model();
    const evaluate = (batches: Batch[]) => evaluateRobust({ models: { student }, specs, batches });
    await expect(evaluate([])).rejects.toThrow(/empty/);
    const wrong = batch(1, 1);
    wrong.labels!.fill_(9);
    await expect(evaluate([wrong])).rejects.toThrow(/hold 9/);
  });
});

describe('predictMissing', () => {
  it.each([true, false])('leaves what is missing no vote (mask token: %s)', (maskToken) => {
    torch.scope(() => {
      using network = model(maskToken);
      network.eval();
      const { modalities } = batch(1, 2);
      const predict = (missing: number[], flip: boolean) =>
        torch.noGrad(() => predictMissing(network, modalities, { specs, missing, flip }));
      for (const flip of [false, true]) {
        for (const lost of [0, 1]) {
          const { heads, ensemble } = predict([lost], flip);
          expect(ensemble.equal(heads[1 - lost]!)).toBe(true);
          expect(ensemble.equal(heads[lost]!)).toBe(false);
        }
        const { heads, ensemble } = predict([], flip);
        const mean = heads[0]!.add(heads[1]!).mul(0.5);
        expect(ensemble).toBeCloseToTensor(mean, { rtol: 1e-5, atol: 1e-5 });
      }
      torch.dispose(modalities);
    });
  });

  it.each([true, false])('reads nothing of a missing input (mask token: %s)', (maskToken) => {
    torch.scope(() => {
      using network = model(maskToken);
      network.eval();
      const { modalities } = batch(1, 1);
      const [rgb, depth] = modalities;
      const spoilt = depth!.mul(Number.NaN);
      const ensemble = (second: torch.Tensor | null, missing: number[]) =>
        torch.noGrad(() => predictMissing(network, [rgb!, second], { specs, missing })).ensemble;
      const expected = ensemble(null, []).toTypedArray();
      expect(ensemble(spoilt, [1]).toTypedArray()).toEqual(expected);
      expect(ensemble(depth!, [1]).toTypedArray()).toEqual(expected);
      expect(expected.some((value) => Number.isNaN(Number(value)))).toBe(false);
      expect(() => ensemble(null, [0])).toThrow(/all 2 modalities/);
      torch.dispose(modalities);
    });
  });
});

describe('modalityPicture', () => {
  it.each([{}, { mean: [0.5, 0.6, 0.1], std: 0.1 }])(
    'shows the colours that were normalised (%o)',
    (own) => {
      const spec = { name: 'rgb', kind: 'rgb', ...own } as const;
      const { mean, std } = normalisationOf(spec);
      const pixels = [255, 102, 51];
      const picture = torch.scope(() => {
        const input = torch.tensor(pixels.map((v, c) => (v / 255 - mean[c]!) / std[c]!));
        return modalityPicture(input.reshape([3, 1, 1]), spec);
      });
      expect([...picture.pixels]).toEqual(pixels);
    },
  );
});

describe('contactSheet', () => {
  it('is a PNG with a row per sample and a column per case', async () => {
    using network = model();
    const png = await contactSheet({
      model: network,
      specs,
      classes: ['wall', 'floor', 'board'],
      batches: [batch(1, 3)],
      rows: 2,
    });
    const { format, width, height } = await sharp(png).metadata();
    expect(format).toBe('png');
    expect(width).toBe(6 + 6 * (160 + 6));
    expect(height).toBeGreaterThan(2 * 160);
    expect(height).toBeLessThan(2 * 160 + 80);
  });
});
