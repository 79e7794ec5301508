import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { torch } from 'm3l';
import {
  checkConfig,
  convertWeights,
  createNetworks,
  disposeNetworks,
  evaluateRun,
  evaluateWeights,
  importWeights,
  inspectWeights,
  loadNetworks,
  RunFolder,
} from 'm3l/experiment';
import { createModel } from 'm3l/models';
import { beforeAll, describe, expect, test } from 'vitest';
import { temporaryFolder } from '../data/fixtures.js';

type State = Record<string, torch.Tensor>;

const folder = temporaryFolder();
const file = (name: string) => join(folder, name);

/** By NVIDIA's names: neither shared layers nor norms say for how many modalities they are. */
const asNvidia = (state: State): State =>
  Object.fromEntries(
    Object.entries(state).map(([name, tensor]) => [
      name
        .replace('.module.', '.')
        .replace('.ln_0.', '.')
        .replace(/^encoder\./, '')
        .replace(/^decoder\./, 'decode_head.'),
      tensor,
    ]),
  );

beforeAll(() =>
  torch.scope(() => {
    torch.manualSeed(5);
    const segformer = createModel({ name: 'segformer', backbone: 'mit-b0', numClasses: 7 });
    const state = segformer.stateDict();
    torch.saveSafetensors(file('ours.safetensors'), state);
    const encoder = Object.entries(asNvidia(state)).filter(([name]) => !/decode_head/.test(name));
    torch.save(file('nvidia.pth'), { state_dict: Object.fromEntries(encoder), epoch: 3 });
    const whole = Object.entries(asNvidia(state)).map(([name, tensor]) => [
      name.startsWith('decode_head') ? name : `backbone.${name}`,
      tensor,
    ]);
    torch.saveSafetensors(file('nvidia-head.safetensors'), Object.fromEntries(whole));
    const fused = createModel({ name: 'linear-fusion', backbone: 'mit-b0', numClasses: 7 });
    const both = ['student', 'teacher'].flatMap((network, i) =>
      Object.entries(fused.stateDict()).map(([name, tensor]) => [
        `${network}.${name}`,
        tensor.add(i),
      ]),
    );
    torch.save(file('authors.pth'), Object.fromEntries(both) as State);
  }),
);

describe('inspect', () => {
  test.each([
    ['ours.safetensors', { format: 'm3l', backbone: 'mit-b0', modalities: 1, classes: 7 }],
    ['nvidia.pth', { format: 'nvidia', container: 'pth', backbone: 'mit-b0', classes: null }],
    ['nvidia-head.safetensors', { format: 'nvidia', backbone: 'mit-b0', classes: 7 }],
    ['authors.pth', { format: 'm3l', networks: ['student', 'teacher'], modalities: 2, classes: 7 }],
  ])('says what %s is', (name, expected) => {
    expect(inspectWeights(file(name))).toMatchObject(expected);
  });

  test('names what it found in a file of another kind', () => {
    torch.scope(() => {
      torch.save(file('other.pth'), { a: torch.ones([2]) });
      torch.save(file('list.pth'), [1, 2]);
    });
    const refusal = (name: string) => {
      try {
        inspectWeights(file(name));
        return 'read';
      } catch (error) {
        return `${(error as { code: string }).code} ${(error as Error).message}`;
      }
    };
    expect(refusal('other.pth')).toMatch(/^M3L_PRETRAINED .*found 1 tensors \(a, …\), expected/);
    expect(refusal('list.pth')).toMatch(/^M3L_PRETRAINED .*found a list of 2, expected tensors/);
    expect(refusal('none.pth')).toMatch(/^M3L_READ_FAILED/);
    writeFileSync(file('text.safetensors'), 'version https://git-lfs');
    expect(refusal('text.safetensors')).toMatch(/Git LFS/);
  });
});

describe('convert', () => {
  test("to Hugging Face's names and back gives every tensor as it was", () => {
    const out = file('hugging');
    convertWeights(file('ours.safetensors'), out, { to: 'hugging-face' });
    const config = JSON.parse(readFileSync(join(out, 'config.json'), 'utf8')) as object;
    expect(config).toMatchObject({ depths: [2, 2, 2, 2], decoder_hidden_size: 256 });
    expect(inspectWeights(join(out, 'model.safetensors'))).toMatchObject({
      format: 'hugging-face',
      backbone: 'mit-b0',
      classes: 7,
    });
    convertWeights(join(out, 'model.safetensors'), file('back.safetensors'));
    torch.scope(() => {
      const before = torch.loadSafetensors(file('ours.safetensors')).tensors;
      const after = torch.loadSafetensors(file('back.safetensors')).tensors;
      const isCounter = (name: string) => name.endsWith('num_batches_tracked');
      const names = Object.keys(before).filter((name) => !isCounter(name) && name !== 'alpha');
      expect(Object.keys(after).sort()).toEqual(names.sort());
      for (const name of names) expect(torch.equal(after[name]!, before[name]!), name).toBe(true);
    });
  });

  test('takes the network asked for, and the norms of the modality', () => {
    convertWeights(file('authors.pth'), file('student.safetensors'), { network: 'student' });
    convertWeights(file('authors.pth'), file('teacher.safetensors'));
    torch.scope(() => {
      const { tensors: student } = torch.loadSafetensors(file('student.safetensors'));
      const { tensors: teacher } = torch.loadSafetensors(file('teacher.safetensors'));
      expect(Object.keys(student)).toEqual(Object.keys(teacher));
      expect(teacher.alpha!).toBeCloseToTensor(student.alpha!.add(1));
    });
    expect(() =>
      convertWeights(file('authors.pth'), file('x.safetensors'), { network: 'tutor' }),
    ).toThrow("found the networks student, teacher, expected 'tutor'");
    expect(() =>
      convertWeights(file('authors.pth'), file('x'), { to: 'hugging-face', modality: 2 }),
    ).toThrow('There are no norms of modality 2');
    mkdirSync(file('full'));
    writeFileSync(join(file('full'), 'thesis.txt'), '');
    expect(() => convertWeights(file('authors.pth'), file('full'), { to: 'hugging-face' })).toThrow(
      'holds no model.safetensors',
    );
  });
});

test.each(['nvidia.pth', 'nvidia-head.safetensors', 'authors.pth', 'ours.safetensors'])(
  'a training starts from %s',
  (name) => {
    const notes: string[] = [];
    const config = checkConfig({
      data: { rooms: { labelled: 2, unlabelled: 1, val: 1, size: [36, 48] }, crop: 32 },
      model: { backbone: 'mit-b0', pretrained: file(name) },
      framework: 'supervised',
      iterations: 1,
    });
    const networks = createNetworks(config, 13, (text) => notes.push(text));
    torch.scope(() => {
      const state = networks.student!.stateDict();
      const weights = inspectWeights(file(name)).shapes;
      const source = torch.load<State | { state_dict: State }>(file(name));
      const tensors = ('state_dict' in source ? source.state_dict : source) as State;
      const [key] = Object.keys(weights).filter((each) =>
        /^(?!student).*block3\.1\.attn\.q(\.module)?\.weight$/.test(each),
      );
      const found = state['encoder.block3.1.attn.q.module.weight']!;
      expect(torch.equal(found, tensors[key!]!)).toBe(true);
      // The norms of depth: its own where there were two, else the one that there is.
      const norm = state['encoder.block3.1.norm1.ln_1.weight']!;
      const [other] = Object.keys(weights).filter((each) =>
        /^(?!student).*block3\.1\.norm1(\.ln_[01])?\.weight$/.test(each),
      );
      expect(torch.equal(norm, tensors[other!]!)).toBe(true);
    });
    disposeNetworks(networks);
    expect(notes.join()).toContain(`Starts from the encoder of ${file(name)}`);
    // Another number of classes: the head's last layer is left where it was.
    if (name !== 'nvidia.pth') expect(notes.join()).toMatch(/Not taken: /);
  },
);

describe('import', () => {
  const config = (changes: object = {}) =>
    checkConfig({
      data: { rooms: { labelled: 2, unlabelled: 1, val: 1, size: [36, 48] }, crop: 32 },
      model: { backbone: 'mit-b0' },
      framework: 'm3l',
      iterations: 1,
      evaluate: { samples: 0 },
      workers: 0,
      ...changes,
    });

  test('makes a run of weights, which is evaluated and loaded as any other', async () => {
    torch.scope(() => {
      const model = createModel({ name: 'linear-fusion', backbone: 'mit-b0', numClasses: 13 });
      const named = ['student', 'teacher'].flatMap((network, i) =>
        Object.entries(model.stateDict())
          .filter(([name]) => !/num_batches_tracked|head_shares/.test(name))
          .map(([name, tensor]) => [`${network}.${name}`, tensor.add(i / 100)]),
      );
      torch.save(file('thirteen.pth'), { state_dict: Object.fromEntries(named) });
    });
    const settled = config();
    const run = RunFolder.create(settled, file('imported'));
    const imported = await importWeights(file('thirteen.pth'), settled, run);
    expect(imported.networks).toEqual({ student: 'student', teacher: 'teacher' });
    const report = await evaluateRun(RunFolder.open(file('imported')));
    expect(report.iteration).toBe(0);
    expect(report.models.map(({ model }) => model)).toEqual(['teacher', 'student']);
    expect(report.views).toEqual({ flip: false, scales: [1], window: null, windowOverlap: null });
    // Without a run it comes to the same.
    const direct = await evaluateWeights(file('thirteen.pth'), settled);
    expect(direct).toEqual({ ...report, checkpoint: file('thirteen.pth') });
    const path = join(run.checkpoints, 'step-0000000');
    const { networks } = loadNetworks(path, run.config(), 13);
    torch.scope(() => {
      const { student, teacher } = networks;
      const of = (model: typeof student) => model!.stateDict().alpha!;
      expect(of(teacher)).toBeCloseToTensor(of(student).add(0.01));
    });
    disposeNetworks(networks);
  });

  test.each([
    ['authors.pth', {}, /decoder\.linear_pred\.weight is \[7,256,1,1\], not \[13,256,1,1\]/],
    ['nvidia.pth', {}, /20 missing \(alpha/],
    [
      'authors.pth',
      { framework: 'cps' },
      /found the networks student, teacher, expected 'branch1'/,
    ],
  ])('refuses what is not of the model: %s %j', async (name, changes, expected) => {
    const wanted = config(changes);
    const out = file('refused');
    const refused = importWeights(file(name), wanted, RunFolder.create(wanted, out));
    await expect(refused).rejects.toThrow(expected);
    expect(existsSync(join(out, 'config.yaml'))).toBe(false);
  });
});

describe("torchvision's ResNets", () => {
  const rooms = { labelled: 2, unlabelled: 1, val: 1, size: [36, 48] };
  const config = (model: { name: string; [key: string]: unknown }) =>
    checkConfig({
      data: {
        rooms,
        crop: 32,
        ...(['deeplabv3plus', 'refinenet'].includes(model.name) && {
          modalities: { rgb: { kind: 'rgb' } },
        }),
      },
      model: { backbone: 'resnet18', pretrained: file('resnet18.pth'), ...model },
      framework: 'supervised',
      iterations: 1,
    });

  beforeAll(() =>
    torch.scope(() => {
      const model = createModel({
        name: 'deeplabv3plus',
        backbone: 'resnet18',
        numClasses: 3,
        modalities: 1,
      });
      const backbone = Object.entries(model.stateDict()).filter(([name]) =>
        name.startsWith('backbone.'),
      );
      const named = backbone.map(([name, tensor]) => [name.replace('backbone.', ''), tensor]);
      const fc = { 'fc.weight': torch.ones([10, 512]), 'fc.bias': torch.ones([10]) };
      torch.save(file('resnet18.pth'), { ...Object.fromEntries(named), ...fc } as State);
    }),
  );

  test.each([
    ['deeplabv3plus', 'backbone.layer2.0.bn1.weight', 'backbone.layer2.0.downsample.0.weight'],
    ['refinenet', 'model.layer2.0.bn1.bn_0.weight', 'model.layer2.0.downsample.0.module.weight'],
    [
      'channel-exchange',
      'model.layer2.0.bn1.bn_1.weight',
      'model.layer2.0.downsample.0.module.weight',
    ],
  ])('start %s', (name, norm, conv) => {
    expect(inspectWeights(file('resnet18.pth'))).toMatchObject({ format: 'torchvision' });
    const networks = createNetworks(config({ name }), 13);
    torch.scope(() => {
      const state = networks.student!.stateDict();
      const source = torch.load<State>(file('resnet18.pth'));
      expect(torch.equal(state[norm]!, source['layer2.0.bn1.weight']!)).toBe(true);
      expect(torch.equal(state[conv]!, source['layer2.0.downsample.0.weight']!)).toBe(true);
    });
    disposeNetworks(networks);
  });

  test('are nothing to a MiT, nor a MiT to them', () => {
    expect(() => createNetworks(config({ name: 'linear-fusion', backbone: 'mit-b0' }), 13)).toThrow(
      /has nothing that a linear-fusion of mit-b0 has a place for/,
    );
    const other = { name: 'channel-exchange', pretrained: file('nvidia.pth') };
    expect(() => createNetworks(config(other), 13)).toThrow(/has nothing that a channel-exchange/);
  });
});
