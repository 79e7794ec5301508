import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { torch } from 'm3l';
import {
  type Config,
  createNetworks,
  disposeNetworks,
  findCheckpoint,
  loadCheckpoint,
  loadNetworks,
  type PretrainSummary,
  pretrain,
  RunFolder,
  resolveConfig,
  type TrainEvent,
  train,
  writeWeightsPackage,
} from 'm3l/experiment';
import { beforeAll, describe, expect, it } from 'vitest';
import { temporaryFolder } from '../data/fixtures.js';

// A tiny encoder is trained and exported once; the tests start from it, and from damaged copies.

const folder = temporaryFolder();
let config: Config;
let summary: PretrainSummary;

const YAML = `
data:
  rooms: { labelled: 2, unlabelled: 1, val: 1, size: [36, 48], varied: true }
  crop: 32
model: { backbone: mit-b0, maskTokenStd: 0.02 }
framework: supervised-modality-dropout
iterations: 2
batch: { labelled: 1, unlabelled: 1 }
evaluate: { batch: 1, samples: 0 }
workers: 0
threads: 1
`;

beforeAll(async () => {
  const file = join(folder, 'tiny.yaml');
  writeFileSync(file, YAML);
  config = resolveConfig(file);
  const run = RunFolder.create(config, join(folder, 'run'));
  summary = await pretrain({ config, run });
}, 120_000);

/** The configuration with other keys, as `--set` gives them. */
const configured = (...sets: string[]) => resolveConfig(join(folder, 'tiny.yaml'), sets);

/** The student's tensors of a configuration: copies, which belong to the current scope. */
function student(of: Config, notes: string[] = []): Record<string, torch.Tensor> {
  const networks = createNetworks(of, 13, (text) => notes.push(text));
  try {
    const state = networks.student!.stateDict();
    return Object.fromEntries(
      Object.entries(state).map(([name, tensor]) => [name, tensor.detach().clone()]),
    );
  } finally {
    disposeNetworks(networks);
  }
}

/** Tensors by name of the run that was exported, in half precision and back. */
function exported(): Record<string, torch.Tensor> {
  const path = findCheckpoint(join(summary.run, 'checkpoints'), 'latest')!;
  const { tensors } = loadCheckpoint(path, { modelOnly: true });
  return Object.fromEntries(
    Object.entries(tensors).map(([name, tensor]) => [
      name.replace('student.', ''),
      tensor.to({ dtype: 'float16' }).to({ dtype: 'float32' }),
    ]),
  );
}

/** Runs in a folder, as a user would. */
function inFolder<Result>(path: string, work: () => Result): Result {
  const before = process.cwd();
  process.chdir(path);
  try {
    return work();
  } finally {
    process.chdir(before);
  }
}

const refusal = (work: () => unknown): { code: string; message: string } => {
  try {
    work();
  } catch (error) {
    const { code, message } = error as { code: string; message: string };
    return { code, message };
  }
  throw new Error('expected an error');
};

describe('pretrain', () => {
  it('01 writes a package that says what it is', () => {
    const { weights } = summary;
    expect(weights).toMatchObject({
      folder: join(summary.run, 'package'),
      name: '@m3l/weights-mit-b0-rooms',
    });
    const files = ['LICENSE', 'README.md', 'config.yaml', 'encoder.safetensors', 'package.json'];
    expect(readdirSync(weights.folder).sort()).toEqual(files);
    const bytes = readFileSync(weights.file);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    expect(weights).toMatchObject({ bytes: bytes.length, sha256 });
    // MiT-B0 has 3.3 million parameters, two bytes each.
    expect(bytes.length).toBeLessThan(7.5e6);
    const own = JSON.parse(
      readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8'),
    ) as { version: string; license: string };
    expect(JSON.parse(readFileSync(join(weights.folder, 'package.json'), 'utf8'))).toMatchObject({
      name: weights.name,
      version: own.version,
      license: own.license,
      m3l: {
        encoder: { backbone: 'mit-b0', kinds: ['rgb', 'depth'], dtype: 'float16', sha256 },
      },
    });
    const card = readFileSync(join(weights.folder, 'README.md'), 'utf8');
    const robust = (100 * summary.evaluation.robustMeanIoU!).toFixed(1);
    for (const part of [sha256, `robust mIoU\n${robust}`, 'seed 1', '2 of 1 images']) {
      expect(card).toContain(part);
    }
    // The configuration in it trains the same again.
    expect(resolveConfig(join(weights.folder, 'config.yaml')).iterations).toBe(2);
  });

  it('02 goes on after an interruption, and gives the same weights', async () => {
    const run = RunFolder.create(config, join(folder, 'stopped'));
    const controller = new AbortController();
    const onEvent = (event: TrainEvent) => {
      if (event.kind === 'step') controller.abort();
    };
    await expect(
      pretrain({ config, run, signal: controller.signal, onEvent, export: join(folder, 'e') }),
    ).rejects.toMatchObject({
      code: 'M3L_INTERRUPTED',
      message: expect.stringContaining(`m3l pretrain --resume ${run.path} --export`),
    });
    expect(refusal(() => writeWeightsPackage(run, join(folder, 'e')))).toEqual({
      code: 'M3L_EXPORT_UNFINISHED',
      message: expect.stringContaining(`m3l pretrain --resume ${run.path}`),
    });
    const { weights } = await pretrain({ config, run, resume: true });
    expect(weights.sha256).toBe(summary.weights.sha256);
  });

  it('03 replaces a package, and nothing else', async () => {
    const run = RunFolder.open(summary.run);
    const target = join(folder, 'deep/er');
    expect(writeWeightsPackage(run, target).sha256).toBe(summary.weights.sha256);
    expect(writeWeightsPackage(run, target).sha256).toBe(summary.weights.sha256);
    const other = join(folder, 'other');
    mkdirSync(other);
    writeFileSync(join(other, 'thesis.tex'), '');
    // Before anything is trained.
    const fresh = RunFolder.create(config, join(folder, 'fresh'));
    await expect(pretrain({ config, run: fresh, export: other })).rejects.toMatchObject({
      code: 'M3L_EXPORT_FOLDER',
      message: expect.stringContaining('found thesis.tex'),
    });
    expect(readdirSync(other)).toEqual(['thesis.tex']);
    expect(readdirSync(folder)).not.toContain('fresh');
  });
});

describe('model.pretrained', () => {
  it('01 starts an encoder from the file, and all else afresh', () => {
    torch.scope(() => {
      const notes: string[] = [];
      const file = configured(`model.pretrained=${summary.weights.file}`);
      const [own, from, fresh] = [exported(), student(file, notes), student(config)];
      expect(notes).toEqual([`Starts from the encoder of ${summary.weights.file}.`]);
      for (const [name, tensor] of Object.entries(from)) {
        const wanted = name.startsWith('encoder.') ? own[name]! : fresh[name]!;
        expect(tensor.equal(wanted), name).toBe(true);
      }
      expect(Object.keys(from).some((name) => name.endsWith('mask_token'))).toBe(true);
    });
  });

  it('02 none is random weights', () => {
    torch.scope(() => {
      const [none, fresh] = [student(configured('model.pretrained=none')), student(config)];
      for (const [name, tensor] of Object.entries(none)) {
        expect(tensor.equal(fresh[name]!), name).toBe(true);
      }
    });
  });

  it('03 rooms is the installed package; where there is none, it says which there are', () => {
    const place = join(folder, 'project');
    const installed = join(place, 'node_modules/@m3l/weights-mit-b1-rooms');
    mkdirSync(join(installed, '..'), { recursive: true });
    cpSync(summary.weights.folder, installed, { recursive: true });
    const rooms = configured('model.pretrained=rooms', 'model.backbone=mit-b1');
    // It is no path.
    expect(rooms.model.pretrained).toBe('rooms');
    inFolder(place, () =>
      expect(refusal(() => student(rooms))).toEqual({
        code: 'M3L_PRETRAINED',
        message: expect.stringContaining(
          `${join(installed, 'encoder.safetensors')} is an encoder of mit-b0, model.backbone is mit-b1`,
        ),
      }),
    );
    const none = configured('model.pretrained=rooms', 'model.backbone=mit-b2');
    inFolder(place, () => {
      const { code, message } = refusal(() => student(none));
      expect(code).toBe('M3L_PRETRAINED_MISSING');
      expect(message).toContain('no package @m3l/weights-mit-b2-rooms');
      expect(message).toMatch(/There are weights of (mit-b0, )?mit-b1/);
      expect(message).toContain('m3l pretrain pretrain-rooms --set model.backbone=mit-b2');
    });
    const right = join(place, 'node_modules/@m3l/weights-mit-b0-rooms');
    cpSync(summary.weights.folder, right, { recursive: true });
    torch.scope(() => {
      const notes: string[] = [];
      const found = inFolder(place, () => student(configured('model.pretrained=rooms'), notes));
      expect(notes[0]).toContain(right);
      const name = 'encoder.block1.0.mlp.fc1.module.weight';
      expect(found[name]!.equal(exported()[name]!)).toBe(true);
    });
  });

  it('a word that is none of them is a file that is not there, and the near one is told', () => {
    const { code, message } = refusal(() => student(configured('model.pretrained=room')));
    expect(code).toBe('M3L_PRETRAINED_MISSING');
    expect(message).toMatch(
      /room does not exist; expected a file of weights \(safetensors, \.pth\), 'rooms' or 'none'\. Did you mean 'rooms'\?/,
    );
  });

  it('04 each modality takes the norms of its kind, of rgb where there is none', () => {
    torch.scope(() => {
      const of = configured(
        `model.pretrained=${summary.weights.file}`,
        'data={ root: ., classes: 13, lists: { labelled: a, unlabelled: b, val: c }, modalities: { height: depth, thermal: grey, colour: rgb, near: depth } }',
        'model.maskToken=false',
      );
      const [own, found] = [exported(), student(of)];
      const norm = (state: Record<string, torch.Tensor>, m: number) =>
        state[`encoder.block2.1.norm1.ln_${m}.bias`]!;
      // One step has told them apart.
      expect(norm(own, 0).equal(norm(own, 1))).toBe(false);
      for (const [m, source] of [1, 0, 0, 1].entries()) {
        expect(norm(found, m).equal(norm(own, source)), `${m}`).toBe(true);
      }
      expect(Object.keys(found).some((name) => name.endsWith('mask_token'))).toBe(false);
    });
  });

  it('05 takes files of NVIDIA’s names as before, and refuses what is neither', () => {
    torch.scope(() => {
      const own = exported();
      const foreign = Object.fromEntries(
        Object.entries(own)
          .filter(([name]) => /^encoder\.(?!.*(ln_1|mask_token))/.test(name))
          .map(([name, tensor]) => [
            name.replace(/^encoder\./, '').replace(/\.(module|ln_0)\./, '.'),
            tensor,
          ]),
      );
      const file = join(folder, 'mit_b0.safetensors');
      torch.saveSafetensors(file, foreign);
      const found = student(configured(`model.pretrained=${file}`));
      const name = 'encoder.block2.1.norm1.ln_1.bias';
      expect(found[name]!.equal(own[name.replace('ln_1', 'ln_0')]!)).toBe(true);

      torch.saveSafetensors(file, { x: torch.ones([1]) });
      expect(refusal(() => student(configured(`model.pretrained=${file}`))).code).toBe(
        'M3L_PRETRAINED',
      );
      torch.saveSafetensors(file, foreign, { format: 'm3l-encoder', version: '2' });
      expect(refusal(() => student(configured(`model.pretrained=${file}`)))).toEqual({
        code: 'M3L_PRETRAINED',
        message: expect.stringContaining('an encoder of version 2, expected 1'),
      });
    });
  });

  it('06 a run needs the weights no more once it has a checkpoint', async () => {
    const file = join(folder, 'gone.safetensors');
    cpSync(summary.weights.file, file);
    const of = configured(`model.pretrained=${file}`);
    const run = RunFolder.create(of, join(folder, 'started'));
    const controller = new AbortController();
    const onEvent = (event: TrainEvent) => {
      if (event.kind === 'step') controller.abort();
    };
    await expect(
      train({ config: of, run, signal: controller.signal, onEvent }),
    ).rejects.toMatchObject({ code: 'M3L_INTERRUPTED' });
    rmSync(file);
    await train({ config: run.config(), run, resume: true });
    const { networks, iteration } = loadNetworks(
      findCheckpoint(run.checkpoints, 'latest')!,
      run.config(),
      13,
    );
    disposeNetworks(networks);
    expect(iteration).toBe(2);
  });
});

describe('models that share the encoder', () => {
  it.each([
    ['token-fusion', 'encoder.patch_embed1.proj.module.weight'],
    ['unified-representation', 'encoder1.patch_embed1.proj.module.weight'],
  ])('%s starts from it too', (name, key) => {
    torch.scope(() => {
      const notes: string[] = [];
      const file = summary.weights.file;
      const sets = [`model.name=${name}`, 'model.maskTokenStd=null', `model.pretrained=${file}`];
      const found = student(configured(...sets), notes);
      expect(notes.join()).toMatch(/Starts from the encoder/);
      const wanted = exported();
      expect(found[key]!.equal(wanted['encoder.patch_embed1.proj.module.weight']!)).toBe(true);
      const norm = name === 'token-fusion' ? 'encoder.norm2.ln_1.bias' : 'encoder1.norm2.ln_0.bias';
      expect(found[norm]!.equal(wanted['encoder.norm2.ln_1.bias']!)).toBe(true);
    });
  });
});
