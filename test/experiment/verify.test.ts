import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { torch } from 'm3l';
import { allHeads, supervisedLoss } from 'm3l/learning';
import { createModel } from 'm3l/models';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type VerifyResult, verifyFile } from '../../dist/experiment/verify/verify-file.js';
import { shared } from '../helpers/shared.js';

type Tensors = Record<string, torch.Tensor>;
type Metadata = Record<string, string>;

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'm3l-verify-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Verifies a file of these contents. */
async function verify(tensors: Tensors, metadata: Metadata): Promise<VerifyResult> {
  const path = join(folder, 'case.safetensors');
  torch.saveSafetensors(path, tensors, metadata);
  return verifyFile(path);
}

function failures({ rows }: VerifyResult): string[] {
  return rows.filter((row) => !row.ok).map((row) => row.name);
}

const metricsTensors = () => ({
  '0.pred': torch.tensor([0, 1, 1, 0], { dtype: 'int64' }),
  '0.labels': torch.tensor([0, 1, 0, 255], { dtype: 'int64' }),
  '0.confusion': torch.tensor(
    [
      [1, 1],
      [0, 1],
    ],
    { dtype: 'int64' },
  ),
});
const metricsFacts = {
  kind: 'metrics',
  '0': JSON.stringify({ num_classes: 2, mean_iou: 0.5, pixel_acc: 2 / 3, mean_acc: 0.75 }),
};

describe('files of other sizes than the golden ones', () => {
  it('metrics', async () => {
    await torch.scope(async () => {
      const tensors = metricsTensors();
      expect(await verify(tensors, metricsFacts)).toMatchObject({ ok: true, kind: 'metrics' });
      const wrong = { ...metricsFacts, '0': '{"num_classes": 2, "mean_iou": 0.51}' };
      expect(failures(await verify(tensors, wrong))).toEqual(['0.mean_iou']);
      const moved = { ...tensors, '0.confusion': tensors['0.confusion'].add(1) };
      expect(failures(await verify(moved, metricsFacts))).toEqual(['0.confusion']);
    });
  });

  it('ohem', async () => {
    await torch.scope(async () => {
      const tensors: Tensors = {
        '7.logits': torch.tensor([[[[0, 2]], [[0, 0]]]], { dtype: 'float32' }),
        '7.labels': torch.tensor([[[0, 0]]], { dtype: 'int64' }),
        '7.loss': torch.tensor([Math.log(2)]),
      };
      const facts = { kind: 'ohem', '7': '{"thresh": 0.7, "min_kept": 1, "ignore": 255}' };
      expect(await verify(tensors, facts)).toMatchObject({ ok: true });
      const more = { ...facts, '7': '{"thresh": 0.7, "min_kept": 2}' };
      expect(failures(await verify(tensors, more))).toEqual(['7.loss']);
    });
  });

  it('linear-fusion: three modalities, seven classes, no mask token, no gradients', async () => {
    await torch.scope(async () => {
      using model = createModel({
        name: 'linear-fusion',
        backbone: 'mit-b0',
        numClasses: 7,
        modalities: 3,
        maskToken: false,
        fusionRatio: 0.6,
      });
      model.eval();
      const input = { rgb: 0, depth: 1, thermal: 2 };
      const inputs = Object.keys(input).map(() => torch.randn([1, 3, 32, 64]));
      const { heads, ensemble } = torch.noGrad(() => model.forward(inputs));
      const named = (prefix: string, list: torch.Tensor[]) =>
        Object.fromEntries(Object.keys(input).map((name, i) => [prefix + name, list[i]!]));
      const tensors: Tensors = {
        ...Object.fromEntries(
          Object.entries(model.stateDict()).map(([name, tensor]) => [`state.${name}`, tensor]),
        ),
        ...named('input.', inputs),
        ...named('full.', heads),
        'full.ensemble': ensemble,
      };
      const facts = { kind: 'linear-fusion', backbone: 'mit_b0', ratio: '0.6', num_classes: '7' };
      const result = await verify(tensors, facts);
      expect(result.rows.map(({ name }) => name)).toEqual([
        'full.rgb',
        'full.depth',
        'full.thermal',
        'full.ensemble',
      ]);
      expect(result.ok).toBe(true);
      expect((await verify(tensors, { ...facts, ratio: '0.8' })).ok).toBe(false);
    });
  });

  it('linear-fusion: the loss of a masked batch, with its gradients whole and summarised', async () => {
    await torch.scope(async () => {
      const shape = { backbone: 'mit-b0', numClasses: 3, ensemble: 'all' } as const;
      using model = createModel({ name: 'linear-fusion', ...shape });
      model.eval();
      const inputs = [torch.randn([2, 3, 32, 32]), torch.randn([2, 3, 32, 32])];
      const labels = torch.randint(0, 3, [2, 32, 32], { dtype: 'int64' });
      const prediction = model.forward(inputs, { masked: [1, -1] });
      const ohem = { threshold: 0.7, minKept: 50 };
      const loss = supervisedLoss(allHeads(prediction), labels, ohem);
      loss.backward();
      const of = new Map(model.namedParameters());
      const bias = of.get('decoder.linear_pred.bias')!.grad!.clone();
      const large = of.get('decoder.linear_fuse.conv.weight')!.grad!.flatten().to('float64');
      const name = 'grad.decoder.linear_fuse.conv.weight';
      const tensors: Tensors = {
        ...Object.fromEntries(
          Object.entries(model.stateDict()).map(([key, tensor]) => [`state.${key}`, tensor]),
        ),
        'input.rgb': inputs[0]!,
        'input.depth': inputs[1]!,
        'input.labels': labels,
        'masked.ensemble': prediction.ensemble.detach(),
        'masked.ohem_loss': loss.detach().reshape([1]),
        'grad.decoder.linear_pred.bias': bias,
        [`${name}#norm`]: large.norm().reshape([1]),
        [`${name}#sum`]: large.sum().reshape([1]),
        [`${name}#every`]: large.slice(0, 0, null, large.numel() / 64),
      };
      const facts = {
        kind: 'linear-fusion',
        backbone: 'mit_b0',
        masked_branches: '[1, -1]',
        ohem: '{"thresh": 0.7, "min_kept": 50, "ignore": 255}',
      };
      expect(failures(await verify(tensors, facts))).toEqual([]);
      const turned = { ...tensors, [`${name}#every`]: tensors[`${name}#every`]!.flip([0]) };
      expect(failures(await verify(turned, facts))).toEqual([`${name}#every`]);
      const unmasked = { ...facts, masked_branches: '[-1, -1]' };
      expect(failures(await verify(tensors, unmasked))).toContain('masked.ensemble');
      const foreign = { ...tensors, 'grad.nothing.weight': bias };
      await expect(verify(foreign, facts)).rejects.toThrow(/grad\.nothing\.weight.*no parameter/);
    });
  });
});

describe('a malformed file is a clear error', () => {
  it.each([
    { name: 'no kind', change: { kind: undefined }, message: /no 'kind'/ },
    { name: 'an unknown kind', change: { kind: 'poem' }, message: /'poem'.*ohem/ },
    { name: 'metadata of a case missing', change: { '0': undefined }, message: /metadata.*0/ },
    {
      name: 'metadata of a wrong type',
      change: { '0': '{"num_classes": "two"}' },
      message: /num_classes/,
    },
  ])('$name', async ({ change, message }) => {
    await torch.scope(async () => {
      const facts = Object.entries({ ...metricsFacts, ...change }).filter(
        ([, v]) => v !== undefined,
      );
      const metadata = Object.fromEntries(facts) as Metadata;
      await expect(verify(metricsTensors(), metadata)).rejects.toThrow(message);
    });
  });

  it('a tensor missing, an empty case list, no safetensors file, no file', async () => {
    await torch.scope(async () => {
      const { '0.labels': _, ...rest } = metricsTensors();
      await expect(verify(rest, metricsFacts)).rejects.toThrow(/'0.labels' is missing/);
      await expect(verify({ a: rest['0.pred'] }, metricsFacts)).rejects.toThrow(/no case/);
      const path = join(folder, 'poem.safetensors');
      writeFileSync(path, 'a rose is a rose');
      await expect(verifyFile(path)).rejects.toThrow(/poem.safetensors/);
      await expect(verifyFile(join(folder, 'none'))).rejects.toThrow(/none/);
    });
  });
});

const files = [
  'channel-exchange-r18',
  'cps-trajectory-b0',
  'deeplabv3plus-r18',
  'linear-fusion-b0',
  'm3l-trajectory-b0',
  'mean-teacher-modality-dropout-trajectory-b0',
  'mean-teacher-trajectory-b0',
  'metrics',
  'ohem',
  'refinenet-r18',
  'supervised-modality-dropout-trajectory-b0',
  'supervised-modality-dropout-trajectory-unified-b0',
  'token-fusion-b0',
  'token-fusion-plain-b0',
  'unified-representation-b0',
  'unified-representation-moddrop-b0',
];
const paths = Object.fromEntries(files.map((name) => [name, shared(`golden/${name}.safetensors`)]));

describe.skipIf(Object.values(paths).includes(null))('the golden files', () => {
  it.each(files)('%s passes', async (name) => {
    const result = await verifyFile(paths[name]!);
    expect(failures(result)).toEqual([]);
    expect(result.ok).toBe(true);
  });

  /** What fails when one tensor of the file, or its metadata, is changed. */
  async function changed(
    name: string,
    change: (tensors: Tensors, metadata: Metadata) => void,
  ): Promise<string[]> {
    return torch.scope(async () => {
      const { tensors, metadata } = torch.loadSafetensors(paths[name]!);
      change(tensors, metadata);
      return failures(await verify(tensors, metadata));
    });
  }

  it.each([
    'full.depth',
    'masked.ensemble',
    'masked.ohem_loss',
    'grad.alpha',
    'grad.encoder.block3.1.norm2.ln_1.weight',
    'grad.encoder.patch_embed1.proj.module.weight#norm',
    'grad.encoder.patch_embed1.proj.module.weight#every',
  ])('linear-fusion fails where %s is 1 percent off', async (key) => {
    const failed = await changed('linear-fusion-b0', (tensors) => tensors[key]!.mul_(1.01));
    expect(failed).toEqual([key]);
  });

  it.each(
    Object.entries({
      'token-fusion-plain-b0': [
        'score.stage2.block1.depth',
        'l1_penalty',
        'full.total_loss',
        'grad.encoder.score_predictor.0.score_nets.1.7.bias',
      ],
      'token-fusion-b0': ['masked.depth'],
      'unified-representation-b0': ['full.pred'],
      'unified-representation-moddrop-b0': [
        'depth_dropped.pred',
        'masked.ohem_loss',
        'grad.encoder1.norm4.ln_0.bias',
      ],
      'channel-exchange-r18': [
        'feature.layer3.depth#every',
        'live.ensemble',
        'frozen.total_loss',
        'live.after.model.layer2.0.bn2.bn_1.running_var',
        'grad.model.layer1.1.bn2.bn_0.weight',
      ],
      'refinenet-r18': [
        'feature.mflow_conv_g2_b#norm',
        'live.grad.model.mflow_conv_g1_pool.0.3_outvar_dimred.module.weight#every',
      ],
      'deeplabv3plus-r18': ['feature.aspp#every', 'grad.head.aspp.map_bn.weight'],
    }),
  )('%s fails just where it is 3 percent off', async (name, keys) => {
    const failed = await changed(name, (tensors) => {
      for (const key of keys) tensors[key]!.mul_(1.03);
    });
    expect(failed.sort()).toEqual(keys.sort());
  });

  it.each([
    'final.student.encoder.patch_embed1.mask_token',
    'final.teacher.alpha',
    'final.teacher.decoder.linear_pred.weight',
    'final.student.encoder.block2.0.attn.kv.module.bias',
    'final.student.decoder.linear_fuse.conv.weight#every',
  ])('m3l-trajectory fails where %s is 0.1 percent off', async (key) => {
    const failed = await changed('m3l-trajectory-b0', (tensors) => tensors[key]!.mul_(1.001));
    expect(failed).toEqual([key]);
  });

  it.each([
    'moved.student.encoder.block2.1.norm2.ln_1.weight',
    'moved.teacher.decoder.linear_fuse.conv.weight#every',
    'step0.grad.decoder.linear_pred.bias',
  ])('mean-teacher-trajectory fails where %s is 3 percent off', async (key) => {
    const failed = await changed('mean-teacher-trajectory-b0', (tensors) =>
      tensors[key]!.mul_(1.03),
    );
    expect(failed).toEqual([key]);
  });

  it('the teacher of mean-teacher-modality-dropout-trajectory has masks of its own', async () => {
    const name = 'mean-teacher-modality-dropout-trajectory-b0';
    const failed = await changed(name, (_, metadata) => {
      const log = JSON.parse(metadata.log!);
      for (const step of log) step.teacher_branches = step.branches;
      metadata.log = JSON.stringify(log);
    });
    expect(failed).toContain('step0.pseudo');
    expect(failed).not.toContain('step0.sup');
    const without = changed(name, (_, metadata) => {
      metadata.log = metadata.log!.replaceAll('teacher_branches', 'others');
    });
    await expect(without).rejects.toThrow(/log of step 0 has no 'teacher_branches'/);
  });

  it('weights by rule are those that the file was computed with, or refused', async () => {
    const salted = changed('supervised-modality-dropout-trajectory-b0', (_, metadata) => {
      metadata.weights_rule = metadata.weights_rule!.replace('/shared', '/other');
    });
    await expect(salted).rejects.toThrow(
      /weights by rule have SHA-256 \w+, the file says 5625b275/,
    );
  });

  it('m3l-trajectory fails where the log or the formulation differs', async () => {
    const logged = await changed('m3l-trajectory-b0', (_, metadata) => {
      const log = JSON.parse(metadata.log!);
      log[2].pseudo *= 1.01;
      log[3].lr[2] *= 1.01;
      metadata.log = JSON.stringify(log);
    });
    expect(logged).toEqual(['step2.pseudo', 'step3.lr.2']);
    const otherLambda = await changed('m3l-trajectory-b0', (_, metadata) => {
      metadata.pseudo_loss_coeff = '0.5';
    });
    expect(otherLambda).toContain('step0.total');
    const otherMasks = await changed('m3l-trajectory-b0', (_, metadata) => {
      metadata.log = metadata.log!.replace('[1, -1, -1, -1]', '[0, -1, -1, -1]');
    });
    expect(otherMasks).toContain('step0.sup');
  });
});
