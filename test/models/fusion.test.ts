import { nn, torch } from 'm3l';
import { optimizeForInference } from 'm3l/inference';
import {
  addAndNormalise,
  asPrediction,
  type CreateFusion,
  everyHead,
  type ForwardOptions,
  type Fused,
  Fusion,
  type FusionSite,
  type Head,
  LinearFuse,
  MixTransformer,
  predictStreams,
  type ResidualSum,
  SegformerHead,
  type StreamedModel,
} from 'm3l/models';
import { beforeEach, describe, expect, it } from 'vitest';

beforeEach(() => torch.manualSeed(0));

/**
 * What TokenFusion needs of a fusion: scores from the tokens as they enter the block, by a norm and a
 * Linear of its own, on which the fused branch and a penalty depend.
 */
class ScoredFusion extends Fusion {
  readonly norm: nn.LayerNorm;
  readonly score: nn.Linear;
  readonly dropout = new nn.Dropout(0.5);

  constructor(readonly site: FusionSite) {
    super();
    this.norm = new nn.LayerNorm(site.channels);
    this.score = new nn.Linear(site.channels, 1);
  }

  override forward(sum: ResidualSum): Fused {
    const score = torch.sigmoid(this.score.forward(this.norm.forward(sum.x0))); // [R, N, 1]
    const others = torch.roll(sum.branch, sum.branch.shape[0]! / this.site.modalities, 0);
    const kept = this.dropout.forward(sum.branch.mul(score));
    const branch = kept.add(others.mul(score.rsub(1)));
    return { ...addAndNormalise({ ...sum, branch }), penalty: score.sum().mul(1e-3) };
  }
}

class ScoredModel extends nn.Module implements StreamedModel {
  readonly streamed = true;
  readonly modalities = 2;
  readonly numClasses = 3;
  readonly hasMaskToken = true;
  readonly leastSide = 29;
  readonly encoder: MixTransformer;
  readonly decoder: SegformerHead;
  readonly alpha: torch.Tensor;
  precision: torch.AutocastDType = 'float32';

  constructor(fusion: CreateFusion) {
    super();
    this.encoder = new MixTransformer({
      backbone: 'mit-b0',
      modalities: 2,
      maskToken: true,
      fusion,
    });
    this.decoder = new SegformerHead({ channels: this.encoder.channels, numClasses: 3 });
    this.alpha = nn.parameter(() => torch.tensor([0.3, 1]));
  }

  override forward(inputs: readonly (torch.Tensor | null)[], options: ForwardOptions = {}) {
    const { logits, penalty } = predictStreams(this, inputs, everyHead(2), options);
    return { ...asPrediction(logits), ...(penalty && { penalty }) };
  }

  forwardHeads(
    inputs: readonly (torch.Tensor | null)[],
    heads: readonly Head[],
    options: ForwardOptions = {},
  ) {
    return predictStreams(this, inputs, heads, options).logits;
  }
}

const images = () => [1, 2].map(() => torch.randn([2, 3, 32, 64]));

describe('linear fusion', () => {
  it.each([2, 3])('gives each of %d modalities its share and the rest to the others', (count) => {
    torch.scope(() => {
      using fusion = new LinearFuse(0.7);
      const [x0, branch] = [0, 1].map(() => torch.randn([2 * count, 5, 4])) as [
        torch.Tensor,
        torch.Tensor,
      ];
      const [weight, bias] = [torch.randn([count, 4]), torch.randn([count, 4])];
      const factors = torch.rand([2 * count]);
      const norm = { weight, bias, eps: 1e-6 };
      const { tokens, normal, penalty } = fusion.forward({ x0, branch, factors, norm });
      expect(penalty).toBeUndefined();
      const streams = branch.view([count, 2, 5, 4]).unbind(0);
      for (const [m, own] of streams.entries()) {
        const rest = streams.filter((_, j) => j !== m).reduce((sum, each) => sum.add(each));
        const y = own.mul(0.7).add(rest.mul(0.3 / (count - 1)));
        const scale = factors.narrow(0, 2 * m, 2).view([2, 1, 1]);
        const expected = x0.narrow(0, 2 * m, 2).add(y.mul(scale));
        const close = { rtol: 1e-5, atol: 1e-5 };
        expect(tokens.narrow(0, 2 * m, 2)).toBeCloseToTensor(expected, close);
        const normalised = torch.layerNorm(expected, [4], weight.select(0, m), bias.select(0, m));
        expect(normal.narrow(0, 2 * m, 2)).toBeCloseToTensor(normalised, {
          rtol: 1e-3,
          atol: 1e-3,
        });
      }
    });
  });
});

describe('a fusion of its own', () => {
  it('knows its place, is in the state dict and adds its penalty to the prediction', () => {
    torch.scope(() => {
      const sites: FusionSite[] = [];
      using model = new ScoredModel((site) => {
        sites.push(site);
        return new ScoredFusion(site);
      });
      expect(sites.map(({ stage, block, channels }) => [stage, block, channels])).toEqual([
        [0, 0, 32],
        [0, 1, 32],
        [1, 0, 64],
        [1, 1, 64],
        [2, 0, 160],
        [2, 1, 160],
        [3, 0, 256],
        [3, 1, 256],
      ]);
      const names = Object.keys(model.stateDict());
      expect(names).toContain('encoder.block3.1.fusion.norm.weight');
      expect(names).toContain('encoder.block1.0.fusion.score.bias');

      // Scores of 1/2: 0.001 · ½ · M · B · (128 + 32 + 8 + 2) tokens · 2 blocks.
      for (const site of model.namedParameters()) {
        if (/fusion\.score/.test(site[0])) torch.noGrad(() => site[1].zero_());
      }
      const { penalty, heads } = model.forward(images());
      expect(penalty!.shape).toEqual([]);
      expect(penalty!.item()).toBeCloseTo(0.5e-3 * 2 * 2 * (128 + 32 + 8 + 2) * 2, 4);
      penalty!.add(heads[0]!.sum().mul(0)).backward();
      const gradients = Object.fromEntries(
        model.namedParameters().map(([name, { grad }]) => [name, grad]),
      );
      expect(gradients['encoder.block4.1.fusion.score.bias']!.abs().item()).toBeGreaterThan(0);
      expect(gradients['encoder.block1.0.fusion.score.weight']!.abs().max().item()).toBeGreaterThan(
        0,
      );
    });
  });

  it('is computed by the packed view too, in evaluation mode', () => {
    torch.scope(() => {
      using model = new ScoredModel((site) => new ScoredFusion(site));
      const [a, b] = images() as [torch.Tensor, torch.Tensor];
      using view = optimizeForInference(model);
      for (const inputs of [
        [a, b],
        [null, b],
      ]) {
        const found = view.forward(inputs);
        expect(model.encoder.block1.at(0).fusion.training).toBe(true);
        model.eval();
        const expected = model.forward(inputs);
        model.train();
        expect(found.ensemble).toBeCloseToTensor(expected.ensemble, { rtol: 1e-3, atol: 1e-5 });
        const [depth] = view.forwardHeads(inputs, [1]);
        expect(depth!).toBeCloseToTensor(expected.heads[1]!, { rtol: 1e-3, atol: 1e-5 });
      }
    });
  });
});
