import { torch } from 'm3l';
import {
  CLASS_WEIGHTINGS,
  checkClassWeights,
  classWeightsOf,
  createFramework,
  ohemCrossEntropy,
  semiSupervisedLosses,
  supervisedLoss,
} from 'm3l/learning';
import { createModel } from 'm3l/models';
import { describe, expect, it } from 'vitest';
import { expectAlike, train } from '../helpers/training.js';

const ALL = { threshold: 1, minKept: 0 };

function sample() {
  const generator = new torch.Generator().manualSeed(8);
  const heads = [1, 2].map(() =>
    torch.randn([2, 3, 6, 7], { generator }).mul(2).detach().requiresGrad_(),
  );
  const labels = torch.randint(0, 3, [2, 12, 14], { dtype: 'int64', generator });
  torch.scope(() => labels.narrow(1, 0, 2).fill_(255));
  return { heads, labels };
}

/** A loss with the gradients of its heads, as numbers. */
function outcome(heads: readonly torch.Tensor[], loss: torch.Tensor): number[] {
  for (const head of heads) head.grad = null;
  loss.backward();
  return [loss.item(), ...heads.flatMap(({ grad }) => [...(grad!.toTypedArray() as Float32Array)])];
}

describe('the weighted cross entropy', () => {
  it.each([
    ALL,
    { threshold: 0.4, minKept: 0 },
    { threshold: 0.05, minKept: 100 },
    { threshold: 0.05, minKept: 100_000 },
  ])('01 is the plain one where all classes weigh the same: %o', (ohem) =>
    torch.scope(() => {
      const { heads, labels } = sample();
      const wanted = outcome(heads, supervisedLoss(heads, labels, ohem));
      const weighted = supervisedLoss(heads, labels, { ...ohem, classWeights: [3, 3, 3] });
      outcome(heads, weighted).forEach((value, i) => void expect(value).toBeCloseTo(wanted[i]!, 5));
    }),
  );

  it('02 is PyTorch’s weighted mean', () =>
    torch.scope(() => {
      const { labels } = sample();
      const logits = torch.randn([2, 3, 12, 14]);
      const classWeights = [0.2, 1, 4];
      const wanted = logits.crossEntropyLoss(labels, {
        weight: torch.tensor(classWeights),
        ignoreIndex: 255,
      });
      const found = ohemCrossEntropy(logits, labels, { ...ALL, classWeights });
      expect(found.item()).toBeCloseTo(wanted.item(), 5);
    }));

  it('03 with γ counts a pixel by (1 − p)^γ', () =>
    torch.scope(() => {
      const p = torch.tensor([0.9, 0.5]);
      const logits = torch.stack([p.log(), p.neg().add(1).log()]).reshape([1, 2, 1, 2]);
      const labels = torch.zeros([1, 1, 2], { dtype: 'int64' });
      const found = ohemCrossEntropy(logits, labels, { ...ALL, focal: 2 });
      const wanted = (0.01 * -Math.log(0.9) + 0.25 * Math.log(2)) / 2;
      expect(found.item()).toBeCloseTo(wanted, 6);
    }));

  it('04 is 0 with zero gradients where all is void, and leaves pseudo labels alone', () =>
    torch.scope(() => {
      const { heads, labels } = sample();
      const weighted = { ...ALL, classWeights: [1, 2, 3], focal: 1 };
      const empty = outcome(heads, supervisedLoss(heads, labels.fullLike(255), weighted));
      expect(new Set(empty.map(Math.abs))).toEqual(new Set([0]));
      const [with_, without] = [weighted, ALL].map((ohem) =>
        semiSupervisedLosses(heads, labels, labels, ohem),
      );
      expect(with_!.pseudo.item()).toBeCloseTo(without!.pseudo.item(), 6);
      expect(with_!.sup.item()).not.toBeCloseTo(without!.sup.item(), 3);
    }));

  it('05 trains the same in static steps', () =>
    torch.scope(async () => {
      const learning = { classWeights: [1, 2, 0.5], focal: 1.5 };
      const wanted = await train({ name: 'supervised', learning });
      expectAlike(await train({ name: 'supervised', learning, execution: 'static' }), wanted);
    }));
});

describe('weights of classes', () => {
  it.each(CLASS_WEIGHTINGS)(
    '06 %s: the rarer, the more; 1 in the mean and where none is',
    (rule) => {
      const [many, few, none, some] = classWeightsOf([900, 10, 0, 90], rule) as [
        number,
        number,
        number,
        number,
      ];
      expect(few).toBeGreaterThan(some);
      expect(some).toBeGreaterThan(many);
      expect((few + some + many) / 3).toBeCloseTo(1, 3);
      expect(none).toBe(1);
    },
  );

  it('07 by frequency they undo it', () => {
    const [one, two] = classWeightsOf([300, 100], 'inverse-frequency') as [number, number];
    expect(two / one).toBeCloseTo(3, 3);
  });

  it.each([
    [[1, 2], 'found 2 of them, expected 3 numbers'],
    [[1, -1, 2], 'found [1, -1, 2], expected 3 numbers'],
    [[0, 0, 0], 'not all 0'],
    ['inverse-frequency', 'whose pixels are not counted yet'],
  ] as const)('08 refuses %o', (classWeights, message) => {
    expect(() => checkClassWeights(classWeights, 3)).toThrow(message);
    const networks = () => createModel({ name: 'segformer', backbone: 'mit-b0', numClasses: 3 });
    torch.scope(() => {
      expect(() =>
        createFramework('supervised', {
          networks,
          modalities: [{ name: 'rgb', kind: 'rgb' }],
          options: { classWeights },
        }),
      ).toThrow(message);
    });
  });
});
