import { torch } from 'm3l';
import { optimizeForInference } from 'm3l/inference';
import { CrossModalRectification, Rectify } from 'm3l/models';
import { beforeEach, describe, expect, it } from 'vitest';

beforeEach(() => torch.manualSeed(0));

const close = { rtol: 1e-4, atol: 1e-5 };

describe('cross-modal rectification', () => {
  it.each([2, 3])('of %d modalities gives each what the others weigh in', (count) => {
    torch.scope(() => {
      const [batch, tokens, channels] = [2, 5, 4];
      using fusion = new Rectify({ channels, modalities: count });
      const draw = () => torch.randn([count * batch, tokens, channels]);
      const [x0, branch, factors] = [draw(), draw(), torch.rand([count * batch])];
      const norm = {
        weight: torch.ones([count, channels]),
        bias: torch.zeros([count, channels]),
        eps: 1e-6,
      };
      const fused = fusion.forward({ x0, branch, factors, norm });
      const x1 = x0.add(branch.mul(factors.view([-1, 1, 1])));
      const of = (m: number, b: number) => x1.select(0, m * batch + b); // [N, C]
      for (let b = 0; b < batch; b++) {
        const all = torch.cat(
          Array.from({ length: count }, (_, m) => of(m, b)),
          1,
        );
        const whole = torch.cat([all.mean([0]), all.amax([0])], 0).unsqueeze(0);
        const c = fusion.channelNet.forward(whole).view([count, channels]);
        const s = fusion.spatialNet.forward(all); // [N, M]
        for (let m = 0; m < count; m++) {
          let expected = of(m, b);
          for (let j = 0; j < count; j++) {
            if (j === m) continue;
            const weights = c.select(0, j).unsqueeze(0).add(s.select(1, j).unsqueeze(1));
            expected = expected.add(
              of(j, b)
                .mul(weights)
                .mul(0.5 / (count - 1)),
            );
          }
          expect(fused.tokens.select(0, m * batch + b)).toBeCloseToTensor(expected, close);
        }
      }
      const normal = torch.layerNorm(fused.tokens, [channels], null, null, 1e-6);
      expect(fused.normal).toBeCloseToTensor(normal, { rtol: 1e-3, atol: 1e-4 });
    });
  });

  it('stands once a stage, learns, and does without a modality, in its view too', () => {
    torch.scope(() => {
      using model = new CrossModalRectification({
        backbone: 'mit-b0',
        numClasses: 3,
        decoderWidth: 16,
        dropPath: 0,
      });
      const names = model.namedParameters().map(([name]) => name);
      const sites = new Set(
        names.flatMap((name) => /^encoder\.(block\d\.\d)\.fusion/.exec(name)?.[1] ?? []),
      );
      expect([...sites]).toEqual(['block1.1', 'block2.1', 'block3.1', 'block4.1']);
      const inputs = [0, 1].map(() => torch.randn([2, 3, 32, 32]));
      const { heads } = model.forward(inputs);
      heads[0]!.square().sum().backward();
      const weight = new Map(model.namedParameters()).get(
        'encoder.block1.1.fusion.spatial_net.0.weight',
      )!;
      expect(weight.grad!.abs().max().item()).toBeGreaterThan(0);
      model.eval();
      using view = optimizeForInference(model);
      const missing = [null, inputs[1]!];
      const expected = model.forward(missing).ensemble;
      expect(view.forward(missing).ensemble).toBeCloseToTensor(expected, {
        rtol: 1e-3,
        atol: 1e-5,
      });
    });
  });
});
