import { torch } from 'm3l';
import { optimizeForInference } from 'm3l/inference';
import { TokenFuse, TokenFusion, type TokenFusionOptions } from 'm3l/models';
import { beforeEach, describe, expect, it } from 'vitest';

beforeEach(() => torch.manualSeed(0));

const close = { rtol: 1e-5, atol: 1e-6 };
const shape = { backbone: 'mit-b0', numClasses: 3, decoderWidth: 16 } as const;
const create = (options: Partial<TokenFusionOptions> = {}) =>
  new TokenFusion({ ...shape, ...options });
const images = (modalities: number) =>
  Array.from({ length: modalities }, () => torch.randn([2, 3, 32, 64]));

describe('a block', () => {
  it.each([2, 3])(
    'of %d modalities keeps tokens by their scores, or takes the others’',
    (count) => {
      torch.scope(() => {
        using model = create({ modalities: count });
        const fuse = model.encoder.block2.at(0).fusion as TokenFuse;
        const predictor = model.encoder.scorePredictor.at(1);
        const [x0, branch] = [0, 1].map(() => torch.randn([2 * count, 6, 64])) as [
          torch.Tensor,
          torch.Tensor,
        ];
        const scores = predictor.forward(x0);
        expect(scores.shape).toEqual([2 * count, 6, 1]);
        // The middle score: half of the tokens are exchanged.
        const threshold = scores.median().item();
        const halving = new TokenFuse(predictor, threshold, 0.5);
        const norm = { weight: torch.ones([count, 64]), bias: torch.zeros([count, 64]), eps: 1e-6 };
        const { tokens, penalty } = halving.forward({ x0, branch, factors: null, norm });
        expect(penalty!.item()).toBeCloseTo((0.5 * scores.sum().item()) / 2, 4);

        const streams = branch.mul(scores).chunk(count, 0);
        let exchanged = 0;
        for (const [m, own] of streams.entries()) {
          const others = streams.filter((_, j) => j !== m);
          const mean = others.reduce((sum, each) => sum.add(each)).div(count - 1);
          const isLow = scores.narrow(0, 2 * m, 2).lt(threshold);
          exchanged += isLow.sum().item();
          const expected = x0.narrow(0, 2 * m, 2).add(torch.where(isLow, mean, own));
          expect(tokens.narrow(0, 2 * m, 2)).toBeCloseToTensor(expected, close);
        }
        expect(exchanged).toBeGreaterThan(count);
        expect(exchanged).toBeLessThan(12 * count - count);
        expect(fuse.scoreThreshold).toBe(0.02);
      });
    },
  );
});

describe('the model', () => {
  it('shares a stage’s score nets, and has them once', () => {
    using model = create();
    const names = model.namedParameters().map(([name]) => name);
    const nets = names.filter((name) => name.includes('score'));
    expect(nets).toHaveLength(4 * 2 * 10);
    expect(nets[0]).toBe('encoder.score_predictor.0.score_nets.0.0.weight');
    expect(names.some((name) => name.includes('.fusion.'))).toBe(false);
  });

  it('adds l1Lambda · Σ scores / B to the loss, and scores have a gradient by it', () => {
    torch.scope(() => {
      using model = create({ l1Lambda: 2, dropPath: 0 });
      const inputs = images(2);
      const { penalty } = model.forward(inputs);
      using other = create({ l1Lambda: 1, dropPath: 0 });
      other.loadStateDict(model.stateDict());
      expect(penalty!.item()).toBeCloseTo(2 * other.forward(inputs).penalty!.item(), 2);
      penalty!.backward();
      const { grad } = model.encoder.scorePredictor.at(3).parameters().at(-1)!;
      expect(grad!.abs().max().item()).toBeGreaterThan(0);
      using without = create({ l1Lambda: 0 });
      expect(without.forward(inputs).penalty!.item()).toBe(0);
    });
  });

  it.each([2, 3])('predicts with modalities missing, of %d, in its view too', (count) => {
    torch.scope(() => {
      using model = create({ modalities: count });
      model.eval();
      using view = optimizeForInference(model);
      const given = images(count).map((image, m) => (m === 1 ? null : image));
      const expected = model.forward(given);
      const found = view.forward(given);
      expect(found.ensemble).toBeCloseToTensor(expected.ensemble, { rtol: 1e-3, atol: 1e-5 });
      const masked = images(count).map((image) => image.mul(Number.NaN));
      masked[0] = given[0]!;
      const lost = model.forward(masked.slice(0, 2).concat(given.slice(2) as torch.Tensor[]), {
        masked: [1, 1],
      });
      expect(lost.ensemble).toBeCloseToTensor(expected.ensemble, close);
    });
  });

  it('without a mask token refuses to do without a modality', () => {
    torch.scope(() => {
      using model = create({ maskToken: false });
      expect(() => model.forward([torch.randn([1, 3, 32, 32]), null])).toThrow(/no mask token/);
      expect(() => create({ modalities: 1 })).toThrow(/token-fusion: 1 modalities.*segformer/);
    });
  });
});
