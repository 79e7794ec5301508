import { torch } from 'm3l';
import { parameterGroups } from 'm3l/learning';
import { UnifiedRepresentation, type UnifiedRepresentationOptions } from 'm3l/models';
import { beforeEach, describe, expect, it } from 'vitest';

beforeEach(() => torch.manualSeed(0));

const close = { rtol: 1e-4, atol: 1e-5 };
const create = (options: Partial<UnifiedRepresentationOptions> = {}) =>
  new UnifiedRepresentation({ backbone: 'mit-b0', numClasses: 3, decoderWidth: 16, ...options });
const images = (modalities: number) =>
  Array.from({ length: modalities }, () => torch.randn([2, 3, 32, 32]));

describe('unified representation', () => {
  it.each([2, 3])('of %d modalities has the mean of those that each sample has', (count) => {
    torch.scope(() => {
      using model = create({ modalities: count });
      model.eval();
      const inputs = images(count);
      const full = model.forward(inputs);
      expect(full.heads).toEqual([]);
      expect(full.ensemble.shape).toEqual([2, 3, 32, 32]);

      const without = model.forward(inputs.map((input, m) => (m === 1 ? null : input)));
      const poisoned = inputs.map((input, m) => (m === 1 ? input.mul(Number.NaN) : input));
      const masked = model.forward(poisoned, { masked: [1, 1] });
      expect(masked.ensemble).toBeCloseToTensor(without.ensemble, close);
      // Sample by sample, and by values that are on the device alone.
      const mixed = model.forward(inputs, { masked: torch.tensor([1n, -1n], { dtype: 'int64' }) });
      const [first, second] = mixed.ensemble.unbind(0) as [torch.Tensor, torch.Tensor];
      expect(first).toBeCloseToTensor(without.ensemble.select(0, 0), close);
      expect(second).toBeCloseToTensor(full.ensemble.select(0, 1), close);
      expect(first.sub(full.ensemble.select(0, 0)).abs().max().item()).toBeGreaterThan(1e-3);
    });
  });

  it('an encoder learns nothing from samples that lost its modality', () => {
    torch.scope(() => {
      using model = create();
      model
        .forward(images(2), { masked: [0, 0] })
        .ensemble.square()
        .sum()
        .backward();
      const largest = (prefix: string) =>
        Math.max(
          ...model
            .namedParameters()
            .filter(([name]) => name.startsWith(prefix))
            .map(([, { grad }]) => grad!.abs().max().item()),
        );
      expect(largest('encoder0.')).toBe(0);
      expect(largest('encoder1.')).toBeGreaterThan(0);
    });
  });

  it('has one head, and says so', () => {
    torch.scope(() => {
      using model = create();
      const inputs = images(2);
      expect(() => model.forwardHeads(inputs, [0])).toThrow(/Head 0 is asked for.*'ensemble'/);
      expect(() => model.forward(inputs, { masked: [0, 1], maskingRatio: 0.5 })).toThrow(
        /maskingRatio.*0\.5, expected 1/,
      );
      const [logits] = model.forwardHeads(inputs, ['ensemble'], { upsample: false });
      expect(logits!.shape).toEqual([2, 3, 8, 8]);
    });
  });

  it('both encoders are in the encoder’s groups', () => {
    using model = create();
    const groups = parameterGroups(model);
    expect(groups.map(({ name }) => name)).toEqual(['encoder', 'encoder-norm', 'decoder']);
    const named = model.namedParameters();
    const of = (pattern: RegExp) => named.filter(([name]) => pattern.test(name)).length;
    expect(groups.map(({ params }) => params.length)).toEqual([
      of(/^encoder(?!.*norm)/),
      of(/^encoder.*norm/),
      of(/^decoder/),
    ]);
    expect(Object.keys(model.stateDict())[0]).toMatch(/^encoder0\./);
  });
});
