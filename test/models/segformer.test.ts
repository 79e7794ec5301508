import { createHash } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { torch } from 'm3l';
import {
  type Backbone,
  backbones,
  createModel,
  fromAuthors,
  fromHuggingFace,
  fromNvidia,
  LinearFusion,
  loadPretrained,
  Segformer,
} from 'm3l/models';
import { beforeEach, describe, expect, it } from 'vitest';
import { fill } from '../helpers/fill.js';

beforeEach(() => torch.manualSeed(0));

const fixture = fileURLToPath(new URL('../fixtures/segformer.safetensors', import.meta.url));

/** Names and shapes of a Hugging Face checkpoint, written down from its own source. */
function hubListing(backbone: Backbone, width: number, classes: number): Record<string, number[]> {
  const { channels, depths } = backbones[backbone];
  const listing: Record<string, number[]> = {};
  const add = (name: string, weight: number[]) => {
    listing[`${name}.weight`] = weight;
    listing[`${name}.bias`] = [weight[0]!];
  };
  for (const [i, c] of channels.entries()) {
    const encoder = 'segformer.encoder';
    const kernel = i === 0 ? 7 : 3;
    add(`${encoder}.patch_embeddings.${i}.proj`, [c, channels[i - 1] ?? 3, kernel, kernel]);
    add(`${encoder}.patch_embeddings.${i}.layer_norm`, [c]);
    add(`${encoder}.layer_norm.${i}`, [c]);
    add(`decode_head.linear_c.${i}.proj`, [width, c]);
    for (let j = 0; j < depths[i]!; j++) {
      const block = `${encoder}.block.${i}.${j}`;
      add(`${block}.layer_norm_1`, [c]);
      add(`${block}.layer_norm_2`, [c]);
      for (const part of ['self.query', 'self.key', 'self.value', 'output.dense']) {
        add(`${block}.attention.${part}`, [c, c]);
      }
      if (i < 3) {
        add(`${block}.attention.self.sr`, [c, c, 8 >> i, 8 >> i]);
        add(`${block}.attention.self.layer_norm`, [c]);
      }
      add(`${block}.mlp.dense1`, [4 * c, c]);
      add(`${block}.mlp.dwconv.dwconv`, [4 * c, 1, 3, 3]);
      add(`${block}.mlp.dense2`, [c, 4 * c]);
    }
  }
  listing['decode_head.linear_fuse.weight'] = [width, 4 * width, 1, 1];
  add('decode_head.batch_norm', [width]);
  listing['decode_head.batch_norm.running_mean'] = [width];
  listing['decode_head.batch_norm.running_var'] = [width];
  add('decode_head.classifier', [classes, width, 1, 1]);
  return listing;
}

/** As `bounds` in scripts/golden/segformer.py. */
function bounds(name: string, shape: number[]): [number, number] {
  if (name.includes('norm') || name.endsWith('running_var')) {
    return /(bias|running_mean)$/.test(name) ? [-0.2, 0.2] : [0.8, 1.2];
  }
  if (shape.length === 1) return [-0.2, 0.2];
  const limit = (3 / shape.slice(1).reduce((product, side) => product * side, 1)) ** 0.5;
  return [-limit, limit];
}

function hubCheckpoint(listing: Record<string, number[]>): Record<string, torch.Tensor> {
  return Object.fromEntries(
    Object.entries(listing).map(([name, shape]) => [
      name,
      fill(name, shape, ...bounds(name, shape)),
    ]),
  );
}

describe('segformer against Hugging Face transformers', () => {
  it.each([
    ['b0', 'mit-b0', 256, 5],
    ['b2', 'mit-b2', 768, 3],
  ] as const)('%s logits', (name, backbone, decoderWidth, numClasses) => {
    torch.scope(() => {
      const { tensors, metadata } = torch.loadSafetensors(fixture);
      const listing = hubListing(backbone, decoderWidth, numClasses);
      const lines = Object.keys(listing).sort();
      const text = lines.map((key) => `${key} [${listing[key]!.join(', ')}]\n`).join('');
      expect(createHash('sha256').update(text).digest('hex')).toBe(metadata[`${name}.names`]);

      using model = new Segformer({ backbone, numClasses, decoderWidth, layerNormEps: 1e-5 });
      model.loadStateDict(fromHuggingFace(hubCheckpoint(listing)));
      model.eval();
      const input = fill('input', JSON.parse(metadata.input!) as number[], -2, 2);
      const expected = tensors[name]!;
      const { ensemble } = model.forward([input], { upsample: false });
      const error = ensemble.sub(expected).abs().max().div(expected.abs().max()).item();
      expect(error).toBeLessThan(1e-5);
    });
  });
});

describe('adapters', () => {
  it('copy NVIDIA’s norms to every modality and leave out the classifier', () => {
    torch.scope(() => {
      const listing = hubListing('mit-b0', 256, 4);
      using one = new Segformer({ backbone: 'mit-b0', numClasses: 4 });
      one.loadStateDict(fromHuggingFace(hubCheckpoint(listing)));
      // Ours for one modality without `module` and `ln_0` are NVIDIA's ImageNet names.
      const nvidia: Record<string, torch.Tensor> = { 'head.weight': torch.ones([1000, 256]) };
      for (const [name, tensor] of Object.entries(one.encoder.stateDict())) {
        nvidia[name.replace(/\.module|\.ln_0/, '')] = tensor;
      }
      using two = new LinearFusion({ backbone: 'mit-b0', numClasses: 4 });
      const kept = loadPretrained(two, fromNvidia(nvidia, { modalities: 2 }));
      expect(kept).toContain('alpha');
      expect(kept).toContain('encoder.patch_embed1.mask_token');
      expect(kept.every((name) => !/^encoder\.(block|norm)/.test(name))).toBe(true);
      const [a, b] = [one.encoder, two.encoder].map((encoder) => encoder.stateDict());
      for (const [name, tensor] of Object.entries(a!)) {
        expect(b![name]!.equal(tensor), name).toBe(true);
        if (!name.includes('ln_0')) continue;
        expect(b![name.replace('ln_0', 'ln_1')]!.equal(tensor), name).toBe(true);
      }
    });
  });

  it('choose the authors’ teacher or student', () => {
    torch.scope(() => {
      const [a, b] = [torch.zeros([1]), torch.ones([1])];
      const both = { 'student.alpha': a, 'teacher.alpha': b, 'teacher.bn.num_batches_tracked': b };
      expect(fromAuthors(both)).toEqual({ alpha: b });
      expect(fromAuthors(both, { network: 'student' })).toEqual({ alpha: a });
      expect(fromAuthors({ alpha: a })).toEqual({ alpha: a });
    });
  });

  it('refuse checkpoints of another model', () => {
    torch.scope(() => {
      const x = torch.ones([1]);
      expect(() => fromHuggingFace({ 'vit.embeddings': x })).toThrow(/'vit.embeddings' is no name/);
      using model = new Segformer({ backbone: 'mit-b0', numClasses: 4 });
      expect(() => loadPretrained(model, { alpha: x })).toThrow(/1 names too many \(alpha\)/);
      const b1 = hubCheckpoint(hubListing('mit-b1', 256, 4));
      expect(() => loadPretrained(model, fromHuggingFace(b1))).toThrow(/has shape \[/);
    });
  });
});

describe('createModel', () => {
  it('makes each model by name', () => {
    torch.scope(() => {
      using model = createModel({ name: 'segformer', backbone: 'mit-b0', numClasses: 4 });
      expect([model.modalities, model.hasMaskToken, model.numClasses]).toEqual([1, false, 4]);
      const { heads, ensemble } = model.forward([torch.randn([1, 3, 33, 50])]);
      expect(ensemble.shape).toEqual([1, 4, 33, 50]);
      expect(heads[0]).toBe(ensemble);
    });
  });

  it('refuses what it does not know', () => {
    const make = (options: object) => () => createModel({ numClasses: 4, ...options } as never);
    expect(make({ name: 'segfromer' })).toThrow(/No model 'segfromer', expected one of linear-fus/);
    expect(make({ name: 'segformer', backbone: 'mit-b9' })).toThrow(/No backbone 'mit-b9'/);
    expect(make({ name: 'segformer', modalities: 2 })).toThrow(/Use linear-fusion/);
    expect(make({ name: 'linear-fusion', modalities: 1 })).toThrow(/Use segformer/);
  });

  it('has the published sizes', () => {
    torch.scope(() => {
      const millions = (name: 'segformer' | 'linear-fusion') => {
        using model = createModel({ name, backbone: 'mit-b2', numClasses: 13 });
        return model.parameters().reduce((sum, p) => sum + p.numel(), 0) / 1e6;
      };
      expect(millions('segformer')).toBeCloseTo(24.73, 1);
      expect(millions('linear-fusion')).toBeCloseTo(24.75, 1);
    });
  });
});
