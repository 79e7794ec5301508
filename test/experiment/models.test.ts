import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Config, checkConfig, evaluateRun, predict, RunFolder, train } from 'm3l/experiment';
import { type ModelName, modelNamed, modelNames } from 'm3l/models';
import { writeRooms } from 'm3l/rooms';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'm3l-models-'));
  const counts = { labelled: 2, unlabelled: 2, val: 1 };
  const rooms = join(folder, 'rooms');
  await writeRooms(rooms, { ...counts, width: 64, height: 48, workers: 0 });
  for (const list of ['train_labelled', 'train_unlabelled', 'val']) {
    const lines = readFileSync(join(rooms, `${list}.txt`), 'utf8').split('\n');
    const withoutDepth = lines.map((line) => line.split('\t').filter((_, column) => column !== 1));
    writeFileSync(join(rooms, `${list}_rgb.txt`), withoutDepth.map((l) => l.join('\t')).join('\n'));
  }
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

const isSingle = (name: ModelName) => modelNamed(name).modalities.most === 1;
const isConvolutional = (name: ModelName) =>
  modelNamed(name).options.shape.backbone.safeParse('resnet18').success;

/** Two steps on the smallest backbone, everything else as it is by default. */
function tiny(model: ModelName, changes: Record<string, unknown> = {}): Config {
  const kinds = { rgb: { kind: 'rgb' }, depth: { kind: 'depth', invalid: 0 } };
  const list = isSingle(model) ? '_rgb' : '';
  return checkConfig({
    data: {
      root: join(folder, 'rooms'),
      classes: 13,
      lists: {
        labelled: `train_labelled${list}.txt`,
        unlabelled: `train_unlabelled${list}.txt`,
        val: `val${list}.txt`,
      },
      ...(isSingle(model) && { modalities: { rgb: kinds.rgb } }),
      crop: 64,
    },
    model: { name: model, backbone: isConvolutional(model) ? 'resnet18' : 'mit-b0' },
    framework: isSingle(model) ? 'mean-teacher' : 'm3l',
    iterations: 2,
    batch: { labelled: 2, unlabelled: 1 },
    evaluate: { samples: 0 },
    threads: 1,
    workers: 0,
    ...changes,
  });
}

describe.each(modelNames)('%s', (name) => {
  it('is trained, evaluated with each modality missing, and predicts', async () => {
    const config = tiny(name);
    const run = RunFolder.create(config, join(folder, name));
    const { evaluation } = await train({ config, run });
    const [network] = evaluation.models;
    const heads = network!.heads.map(({ head }) => head);
    const modalities = isSingle(name) ? ['rgb'] : ['rgb', 'depth'];
    const own = name === 'unified-representation' ? [] : modalities;
    expect(heads).toEqual([...own, 'ensemble']);
    const cases = network!.heads.at(-1)!.cases;
    expect(cases.map(({ missing }) => missing)).toEqual(
      isSingle(name) ? [[]] : [[], ['rgb'], ['depth']],
    );
    for (const { meanIoU } of cases) expect(meanIoU).toBeGreaterThanOrEqual(0);

    const again = await evaluateRun(run);
    expect(again.models).toEqual(evaluation.models);

    const out = join(folder, name, 'classes.png');
    const given = isSingle(name) ? 'rgb' : 'depth';
    const rooms = join(folder, 'rooms');
    const images = { [given]: join(rooms, given, 'val_000000.png') };
    const scene = await predict(run, { images, out });
    expect(existsSync(out)).toBe(true);
    expect(scene.size).toEqual([48, 64]);
  });
});

describe('what follows from the model', () => {
  it('lets BatchNorm live where a network needs it, unless the configuration says otherwise', () => {
    const frozen = (model: ModelName, framework = {}) =>
      tiny(model, { framework: { name: 'supervised', ...framework } }).framework.freezeBatchNorm;
    expect(frozen('linear-fusion')).toBe(true);
    expect(frozen('channel-exchange')).toBe(false);
    expect(frozen('deeplabv3plus', { freezeBatchNorm: true })).toBe(true);
  });

  it('a configuration with every default filled in can change to a model of other backbones', () => {
    const model = { name: 'linear-fusion' };
    const config = tiny('linear-fusion', { model, framework: 'supervised' });
    expect(config.model.backbone).toBe('mit-b2');
    const other = checkConfig({ ...config, model: { ...config.model, name: 'channel-exchange' } });
    expect(other.model).toMatchObject({ name: 'channel-exchange', backbone: 'resnet50' });
    const wrong = { name: 'channel-exchange', backbone: 'mit-b9' };
    expect(() => checkConfig({ ...config, model: wrong })).toThrow(/model\.backbone.*resnet18/s);
  });
});
