import { torch } from 'm3l';
import { classCounts, createFramework, TeacherRecord, withDice } from 'm3l/learning';
import { createModel } from 'm3l/models';
import { describe, expect, it } from 'vitest';

/** Logits [B, K, h, w] whose softmax has `sure` at the class of each pixel. */
function logitsOf(classes: number[][][], K: number, sure: number): torch.Tensor {
  const labels = torch.tensor(classes.flat(2), {
    shape: [classes.length, classes[0]!.length, classes[0]![0]!.length],
    dtype: 'int64',
  });
  const rest = (1 - sure) / (K - 1);
  const hot = torch.oneHot(labels, K).permute([0, 3, 1, 2]).to('float32');
  return hot.mul(Math.log(sure / rest));
}

const labels = (rows: number[][][]) =>
  torch.tensor(rows.flat(2), {
    shape: [rows.length, rows[0]!.length, rows[0]![0]!.length],
    dtype: 'int64',
  });

const values = (tensor: torch.Tensor) => [...(tensor.toTypedArray() as Float32Array)];

/** A labelled image of truth 0 0 / 0 1 and an unlabelled one that is said to be `said`. */
function observed(record: TeacherRecord, claim: number[][], said: number[][], sure = 0.9): void {
  const logits = logitsOf([claim, said], 2, sure);
  const truth = labels([
    [
      [0, 0],
      [0, 1],
    ],
  ]);
  record.observe({ logits, valid: null, truth });
}

describe('the record of a teacher', () => {
  it('has recall, competence and shares of one batch', () =>
    torch.scope(() => {
      const record = new TeacherRecord(2, 'cpu');
      observed(record, [[0, 1], [0, 1]], [[0, 0], [0, 1]], 0.75); // biome-ignore format: a picture
      expect(values(record.recall())).toEqual([expect.closeTo(2 / 3, 6), 1]);
      expect(record.competence().item()).toBeCloseTo(2 * ((2 / 3 + 1) / 2) - 1, 6);
      expect(values(record.labelledShares())).toEqual([0.75, 0.25]);
      const said = [(3 * 0.75 + 0.25) / 4, (3 * 0.25 + 0.75) / 4];
      for (const [k, share] of values(record.saidShares()).entries()) {
        expect(share).toBeCloseTo(said[k]!, 6);
      }
      const least = values(record.thresholds());
      expect(least[0]).toBeCloseTo(0.75, 6);
      expect(least[1]).toBeCloseTo((0.75 * said[1]!) / said[0]!, 6);
    }));

  it('has a competence of 0 where all is one class, however many of its pixels there are', () =>
    torch.scope(() => {
      const record = new TeacherRecord(2, 'cpu');
      for (let i = 0; i < 20; i++) observed(record, [[0, 0], [0, 0]], [[0, 0], [0, 0]]); // biome-ignore format: a picture
      expect(record.competence().item()).toBe(0);
      expect(record.retained().item()).toBe(1);
    }));

  it('draws what is said to what is labelled, within a factor of four', () =>
    torch.scope(() => {
      const record = new TeacherRecord(2, 'cpu');
      observed(record, [[0, 0], [0, 1]], [[0, 0], [0, 0]], 0.99); // biome-ignore format: a picture
      const [first, second] = values(record.alignment(1).flatten());
      expect(first).toBeCloseTo(Math.log(0.75 / 0.99), 4);
      expect(second).toBeCloseTo(Math.log(4), 6);
      expect(values(record.alignment(0.5).flatten())[1]).toBeCloseTo(Math.log(2), 6);
    }));

  it('falls back where a class that was known is lost, and recovers with it', () =>
    torch.scope(() => {
      const record = new TeacherRecord(2, 'cpu');
      const right = [[0, 0], [0, 1]]; // biome-ignore format: a picture
      const lost = [[0, 0], [0, 0]]; // biome-ignore format: a picture
      for (let i = 0; i < 60; i++) observed(record, right, right);
      expect(record.retained().item()).toBeCloseTo(1, 6);
      for (let i = 0; i < 250; i++) observed(record, lost, right);
      expect(record.retained().item()).toBeLessThan(0.05);
      for (let i = 0; i < 250; i++) observed(record, right, right);
      expect(record.retained().item()).toBeCloseTo(1, 2);
    }));

  it('says nothing before it saw anything, nor of void pixels', () =>
    torch.scope(() => {
      const record = new TeacherRecord(2, 'cpu');
      expect(values(record.alignment(1).flatten())).toEqual([0, 0]);
      expect(values(record.thresholds())).toEqual([0, 0]);
      const logits = logitsOf([[[0, 0]], [[0, 0]]], 2, 0.9);
      const truth = labels([[[255, 255]]]);
      const valid = torch.zeros([2, 1, 2], { dtype: 'bool' });
      record.observe({ logits, valid, truth });
      for (const tensor of Object.values(record.state)) {
        expect(values(tensor).every(Number.isFinite)).toBe(true);
      }
      expect(record.competence().item()).toBe(0);
    }));

  it('counts labels of another size by their nearest pixels', () =>
    torch.scope(() => {
      const truth = torch.zeros([1, 8, 8], { dtype: 'int64' });
      truth.narrow(1, 4, 4).fill_(1);
      const logits = logitsOf([[[0, 0], [0, 1]]], 2, 0.9); // biome-ignore format: a picture
      const counts = classCounts(logits, truth, 2);
      expect(values(counts.truth)).toEqual([2, 2]);
      expect(values(counts.hits)).toEqual([2, 1]);
      expect(values(counts.claimed)).toEqual([3, 1]);
    }));
});

describe('the labels that follow it', () => {
  const SIZE = 32;
  const modalities = [
    { name: 'rgb', kind: 'rgb' },
    { name: 'depth', kind: 'depth' },
  ] as const;

  it('are of some pixels alone, and weigh as much as the teacher knows', () =>
    torch.scope(() => {
      torch.manualSeed(3);
      const networks = () =>
        createModel({ name: 'linear-fusion', backbone: 'mit-b0', numClasses: 3 });
      const framework = createFramework('m3l', { networks, modalities });
      const { state } = framework;
      expect(Object.keys(state!)).toContain('said');
      const made = (count: number, withLabels: boolean) => ({
        names: Array.from({ length: count }, (_, i) => `${i}`),
        modalities: [torch.randn([count, 3, SIZE, SIZE]), torch.randn([count, 3, SIZE, SIZE])],
        labels: withLabels ? torch.randint(0, 3, [count, SIZE, SIZE], { dtype: 'int64' }) : null,
        valid: null,
      });
      const batch = { labelled: made(2, true), unlabelled: made(3, false) };
      const { total, parts, health } = framework.losses(batch, framework.draw(batch, 0));
      const lambda = health!.lambda!.item();
      expect(total.item()).toBeCloseTo(parts.sup!.item() + lambda * parts.pseudo!.item(), 5);
      expect(health!.used!.item()).toBeGreaterThan(0);
      expect(health!.used!.item()).toBeLessThan(1);
      expect(values(health!.pseudoShares!).reduce((a, b) => a + b)).toBeCloseTo(1, 5);
      expect(lambda).toBeCloseTo(health!.competence!.item() * health!.retained!.item(), 6);
      for (const network of Object.values(framework.networks)) network.dispose();
    }));

  it('has no record, and no state, with the options of the paper', () =>
    torch.scope(() => {
      const networks = () =>
        createModel({ name: 'linear-fusion', backbone: 'mit-b0', numClasses: 3 });
      const options = { fidelity: 'paper' } as const;
      const framework = createFramework('m3l', { networks, modalities, options });
      expect(framework.state).toEqual({});
      for (const network of Object.values(framework.networks)) network.dispose();
    }));
});

describe('the Dice loss', () => {
  it('is that of its formula, over the classes that are there', () =>
    torch.scope(() => {
      const logits = logitsOf([[[0, 0], [0, 1]]], 3, 0.8); // biome-ignore format: a picture
      const truth = labels([[[0, 1], [255, 1]]]); // biome-ignore format: a picture
      // Of the three labelled pixels: p of class 0 is 0.8 0.8 0.1, of class 1 0.1 0.1 0.8.
      const zero = 1 - (2 * 0.8) / (1.7 + 1);
      const one = 1 - (2 * 0.9) / (1.0 + 2);
      const sup = torch.full([], 2);
      const found = withDice(sup, [logits], truth, 0.5).item();
      expect(found).toBeCloseTo(2 + (0.5 * (zero + one)) / 2, 5);
      expect(withDice(sup, [logits], truth, 0)).toBe(sup);
    }));
});
