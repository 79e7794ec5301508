import { torch } from 'm3l';
import { backbones, LinearFusion } from 'm3l/models';
import { beforeEach, describe, expect, it } from 'vitest';
import { referenceForward } from './reference-linear-fusion.js';

beforeEach(() => torch.manualSeed(0));

const RATIO = 0.7;
const KEYS_BIAS = /attn\.kv\.module\.bias$/;

/** A float64 model in evaluation mode with no norm at the identity and no bias or statistic at zero. */
function createModel(modalities: number, ensemble: 'evidence' | 'present' | 'all'): LinearFusion {
  const model = new LinearFusion({
    backbone: 'mit-b0',
    numClasses: 4,
    modalities,
    fusionRatio: RATIO,
    ensemble,
  });
  torch.noGrad(() => {
    // Classes in 0.5 to 1.5 shares: none so rare that the floor is felt.
    model.headShares?.copy_(
      torch
        .rand([...model.headShares.shape])
        .add(0.5)
        .mul(1e4),
    );
    for (const tensor of Object.values(model.stateDict())) {
      if (tensor.ndim === 1) tensor.add_(torch.rand([...tensor.shape]).mul(0.3));
    }
  });
  return model.to({ dtype: 'float64' }).eval();
}

/** Largest difference, relative to the largest expected value. */
function error(found: torch.Tensor, expected: torch.Tensor): number {
  expect(found.shape).toEqual(expected.shape);
  return found.sub(expected).abs().max().div(expected.abs().max()).item();
}

describe('linear fusion as computed here', () => {
  it.each([
    ['both modalities', 2, [-1, -1], 'present'],
    ['both modalities', 2, [-1, -1], 'evidence'],
    ['masked modalities', 2, [1, -1], 'evidence'],
    ['three modalities', 3, [-1, 2], 'evidence'],
    ['masked modalities', 2, [1, 0], 'all'],
    ['masked modalities', 2, [1, -1], 'present'],
    ['three modalities', 3, [-1, 2], 'all'],
    ['three modalities', 3, [-1, 2], 'present'],
  ] as const)('is the paper’s, read plainly: %s (%i: %o), %s voting', (...facts) => {
    const [, modalities, masked, voting] = facts;
    torch.scope(() => {
      using model = createModel(modalities, voting);
      const parameters = model.namedParameters();
      const state = Object.fromEntries([...parameters, ...model.namedBuffers()]);
      const { depths } = backbones['mit-b0'];
      const images = Array.from({ length: modalities }, () =>
        torch.randn([2, 3, 37, 64], { dtype: 'float64' }),
      );
      const missing = images.map((_, m) => masked.map((lost) => lost === m));

      const { heads, ensemble } = model.forward(images, { masked });
      const found = [...heads, ensemble];
      const reference = { state, depths, modalities, ratio: RATIO, ensemble: voting };
      const expected = referenceForward(reference, images, missing);
      for (const [i, logits] of found.entries()) {
        expect(error(logits, expected[i]!), `prediction ${i}`).toBeLessThan(1e-9);
      }

      const weights = torch.randn([...ensemble.shape], { dtype: 'float64' });
      const gradients = (predictions: readonly torch.Tensor[]) => {
        const loss = predictions.map((logits) => logits.mul(weights).sum());
        const tensors = parameters.map(([, parameter]) => parameter);
        return torch.grad(torch.stack(loss).sum(), tensors, { allowUnused: true });
      };
      const [own, plain] = [gradients(found), gradients(expected)];
      for (const [i, [name]] of parameters.entries()) {
        expect(own[i] === null, name).toBe(plain[i] === null);
        if (!own[i] || !plain[i]) continue;
        // A bias of the keys moves all scores alike: its gradient is 0 but for rounding.
        const of = (gradient: torch.Tensor) =>
          KEYS_BIAS.test(name) ? gradient.chunk(2)[1]! : gradient;
        expect(error(of(own[i]!), of(plain[i]!)), name).toBeLessThan(1e-8);
      }
    });
  });
});
