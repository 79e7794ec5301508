import { torch } from 'm3l';
import { createModel, LinearFusion, type SegmentationModel } from 'm3l/models';
import { beforeEach, describe, expect, it } from 'vitest';
import { shared } from '../helpers/shared.js';

beforeEach(() => torch.manualSeed(0));

/** Scopes a test around a small model in evaluation mode with two or three modalities. */
function withModel(options: object, test: (model: SegmentationModel) => void): void {
  torch.scope(() => {
    using model = createModel({
      name: 'linear-fusion',
      backbone: 'mit-b0',
      numClasses: 4,
      ...options,
    });
    model.eval();
    test(model);
  });
}

const images = (count: number, batch = 2) =>
  Array.from({ length: count }, () => torch.randn([batch, 3, 32, 64]));

const maxOf = (x: torch.Tensor) => x.abs().max().item();

const golden = shared('golden/linear-fusion-b0.safetensors');

describe.skipIf(!golden)('linear fusion against the authors’ implementation', () => {
  it.each(['full', 'masked'])('%s predictions, at full and at quarter size', (kind) => {
    torch.scope(() => {
      const { tensors, metadata } = torch.loadSafetensors(golden!);
      using model = new LinearFusion({ backbone: 'mit-b0', numClasses: 5, ensemble: 'all' });
      const state = Object.entries(tensors).filter(([name]) => name.startsWith('state.'));
      // Strict: every name and shape of the authors' model, and no other.
      model.loadStateDict(Object.fromEntries(state.map(([name, t]) => [name.slice(6), t])));
      model.eval();
      const inputs = [tensors['input.rgb']!, tensors['input.depth']!];
      const options =
        kind === 'masked' ? { masked: JSON.parse(metadata.masked_branches!) as number[] } : {};
      const { heads, ensemble } = model.forward(inputs, options);
      const found = { rgb: heads[0]!, depth: heads[1]!, ensemble };
      for (const [name, prediction] of Object.entries(found)) {
        const expected = tensors[`${kind}.${name}`]!;
        const error = maxOf(prediction.sub(expected)) / maxOf(expected);
        expect(error, `${kind}.${name}`).toBeLessThan(1e-5);
      }
      const small = model.forward(inputs, { ...options, upsample: false }).ensemble;
      const upsampled = torch.upsampleBilinear2d(small, [64, 64], true);
      expect(upsampled).toBeCloseToTensor(ensemble, { rtol: 1e-5, atol: 1e-5 });
    });
  });
});

describe('any number of modalities', () => {
  it('predicts from three, each with norms of its own, and from those that are left', () => {
    withModel({ modalities: 3 }, (model) => {
      expect(Object.keys(model.stateDict())).toContain('encoder.block1.0.norm1.ln_2.weight');
      const [a, b, c] = images(3) as [torch.Tensor, torch.Tensor, torch.Tensor];
      const full = model.forward([a, b, c]);
      expect(full.heads.map(({ shape }) => shape)).toEqual(Array(3).fill([2, 4, 32, 64]));
      expect(full.ensemble.shape).toEqual([2, 4, 32, 64]);
      const mean = full.heads[0]!.add(full.heads[1]!).add(full.heads[2]!).div(3);
      expect(full.ensemble).toBeCloseToTensor(mean, { rtol: 1e-4, atol: 1e-5 });
      const one = model.forward([null, b, null]);
      expect(maxOf(one.ensemble.sub(full.ensemble))).toBeGreaterThan(1e-4);
      const small = model.forward([a, null, c], { upsample: false });
      expect(small.ensemble.shape).toEqual([2, 4, 8, 16]);
    });
  });
});

describe('a missing modality', () => {
  it('is the same whether its input is null or masked in every sample', () => {
    withModel({}, (model) => {
      const [rgb, depth] = images(2) as [torch.Tensor, torch.Tensor];
      for (const [inputs, index] of [
        [[null, depth], 0],
        [[rgb, null], 1],
      ] as const) {
        const absent = model.forward(inputs);
        const masked = model.forward([rgb, depth], { masked: [index, index] });
        expect(absent.ensemble).toBeCloseToTensor(masked.ensemble, { rtol: 1e-4, atol: 1e-5 });
      }
    });
  });

  it('concerns only its own samples', () => {
    withModel({}, (model) => {
      const inputs = images(2);
      const full = model.forward(inputs).ensemble;
      const masked = model.forward(inputs, { masked: [-1, 0] }).ensemble;
      expect(masked.select(0, 0)).toBeCloseToTensor(full.select(0, 0), { rtol: 1e-4, atol: 1e-5 });
      expect(maxOf(masked.select(0, 1).sub(full.select(0, 1)))).toBeGreaterThan(1e-4);
    });
  });

  it('leaks nothing of its input, NaN included, into predictions or gradients', () => {
    withModel({}, (model) => {
      const [rgb, depth] = images(2) as [torch.Tensor, torch.Tensor];
      const masked = [1, 0];
      const clean = model.forward([rgb, depth], { masked });
      clean.ensemble.sum().add(clean.heads[0]!.pow(2).sum()).backward();
      const wanted = model.parameters().map(({ grad }) => grad?.clone() ?? null);
      model.zeroGrad();

      rgb.select(0, 1).fill_(Number.NaN);
      depth.select(0, 0).fill_(Number.POSITIVE_INFINITY);
      const found = model.forward([rgb, depth], { masked });
      expect(found.ensemble.equal(clean.ensemble)).toBe(true);
      found.ensemble.sum().add(found.heads[0]!.pow(2).sum()).backward();
      for (const [i, [name, { grad }]] of model.namedParameters().entries()) {
        if (!wanted[i]) continue;
        const difference = maxOf(grad!.sub(wanted[i]!));
        expect(difference, name).toBeLessThanOrEqual(1e-4 * maxOf(wanted[i]!));
      }
    });
  });

  it('is masked token by token with the masking ratio, repeatably', () => {
    withModel({}, (model) => {
      const inputs = images(2);
      const run = (maskingRatio: number, seed: number) =>
        model.forward(inputs, {
          masked: [0, 0],
          maskingRatio,
          generator: new torch.Generator().manualSeed(seed),
        }).ensemble;
      const full = model.forward(inputs).ensemble;
      const all = model.forward(inputs, { masked: [0, 0] }).ensemble;
      expect(run(0, 1)).toBeCloseToTensor(full, { rtol: 1e-4, atol: 1e-5 });
      expect(run(1, 1)).toBeCloseToTensor(all, { rtol: 1e-4, atol: 1e-5 });
      const half = run(0.5, 1);
      expect(half.equal(run(0.5, 1))).toBe(true);
      expect(maxOf(half.sub(run(0.5, 2)))).toBeGreaterThan(1e-5);
      expect(maxOf(half.sub(full))).toBeGreaterThan(1e-5);
    });
  });

  it('trains the mask token of the first embedding only', () => {
    withModel({}, (model) => {
      model
        .forward(images(2), { masked: [0, -1] })
        .heads[1]!.sum()
        .backward();
      const grads = Object.fromEntries(model.namedParameters().map(([name, t]) => [name, t.grad]));
      expect(maxOf(grads['encoder.patch_embed1.mask_token']!)).toBeGreaterThan(0);
      expect(grads['encoder.patch_embed2.mask_token']).toBeNull();
      expect(grads.alpha).toBeNull();
    });
  });
});

describe('the ensemble', () => {
  it('weighs detached heads, so that only alpha learns from it', () => {
    withModel({}, (model) => {
      model.forward(images(2)).ensemble.pow(2).sum().backward();
      const trained = model.namedParameters().filter(([, { grad }]) => grad !== null);
      expect(trained.map(([name]) => name)).toEqual(['alpha']);
      expect(maxOf(trained[0]![1].grad!)).toBeGreaterThan(0);
    });
  });
});

describe('wrong input', () => {
  it('is refused with what was found, what was expected and the mend', () => {
    withModel({}, (model) => {
      const [a, b] = images(2) as [torch.Tensor, torch.Tensor];
      expect(() => model.forward([a])).toThrow(/1 inputs, expected 2/);
      expect(() => model.forward([null, null])).toThrow(/Every modality is missing/);
      const narrow = b.narrow(3, 0, 32);
      expect(() => model.forward([a, narrow])).toThrow(/\[2,3,32,64\], \[2,3,32,32\], expected/);
      expect(() => model.forward([a, b], { masked: [0] })).toThrow(/1 entries for a batch of 2/);
      expect(() => model.forward([a, b], { masked: [0, 2] })).toThrow(/holds 2, expected -1 or/);
    });
    withModel({ maskToken: false }, (model) => {
      expect(Object.keys(model.stateDict()).join()).not.toContain('mask_token');
      const inputs = images(2);
      expect(() => model.forward([inputs[0]!, null])).toThrow(/`fill`/);
      expect(() => model.forward(inputs, { masked: [0, -1] })).toThrow(/`fill`/);
      expect(() => model.forward(inputs, { masked: [-1, -1] })).not.toThrow();
    });
  });
});

describe('training', () => {
  it('draws drop path, leaves the frozen BatchNorm alone and releases all it made', () => {
    torch.scope(() => {
      using model = new LinearFusion({ backbone: 'mit-b0', numClasses: 4, dropPath: 0.3 });
      const inputs = images(2);
      const mean = model.decoder.linearFuse.bn.runningMean!.clone();
      expect(model.forward(inputs).ensemble.equal(model.forward(inputs).ensemble)).toBe(false);
      expect(model.decoder.linearFuse.bn.runningMean!.equal(mean)).toBe(true);
      model.zeroGrad();
      const before = torch.memory().tensors;
      torch.scope(() => {
        model
          .forward(inputs, { masked: [0, 1] })
          .heads[0]!.sum()
          .backward();
        model.zeroGrad();
      });
      expect(torch.memory().tensors).toBe(before);
    });
  });

  it('holds no activation but what its backward reads, and the predictions', () => {
    torch.scope(() => {
      using model = new LinearFusion({ backbone: 'mit-b0', numClasses: 4 });
      const inputs = images(2);
      const handles = (make: () => unknown) => {
        const before = torch.memory().tensors;
        make();
        return torch.memory().tensors - before;
      };
      // Three predictions, and what leads from the stages' features to them.
      expect(handles(() => model.forward(inputs))).toBeLessThan(80);
      expect(handles(() => torch.noGrad(() => model.forward(inputs)))).toBeLessThan(80);
    });
  });

  it('uses the statistics of the batch where BatchNorm is not frozen', () => {
    torch.scope(() => {
      using model = new LinearFusion({
        backbone: 'mit-b0',
        numClasses: 4,
        freezeBatchNorm: false,
      });
      const { bn } = model.decoder.linearFuse;
      model.forward(images(2));
      expect(maxOf(bn.runningMean!)).toBeGreaterThan(0);
    });
  });

  it('starts from the same values for the same seed', () => {
    torch.scope(() => {
      const make = (seed: number) =>
        new LinearFusion({
          backbone: 'mit-b0',
          numClasses: 4,
          generator: new torch.Generator().manualSeed(seed),
        });
      using a = make(1);
      using b = make(1);
      using c = make(2);
      const [x, y, z] = [a, b, c].map((model) => model.stateDict());
      expect(Object.keys(x!).every((name) => x![name]!.equal(y![name]!))).toBe(true);
      const weight = 'encoder.block1.0.attn.q.module.weight';
      expect(x![weight]!.equal(z![weight]!)).toBe(false);
      expect(x![weight]!.std().item()).toBeCloseTo(0.02, 2);
      const token = (maskTokenStd: number | undefined) => {
        const generator = new torch.Generator().manualSeed(1);
        using model = new LinearFusion({
          backbone: 'mit-b0',
          numClasses: 4,
          maskTokenStd,
          generator,
        });
        return model.encoder.patchEmbed1.maskToken!.clone();
      };
      // The paper's: standard normal.
      expect(token(undefined).std().item()).toBeGreaterThan(0.5);
      expect(token(0.02)).toBeCloseToTensor(token(undefined).mul(0.02), { rtol: 1e-5 });
    });
  });
});
