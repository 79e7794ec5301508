import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { torch } from 'm3l';
import {
  checkConfig,
  findCheckpoint,
  loadCheckpoint,
  RunFolder,
  saveCheckpoint,
  train,
} from 'm3l/experiment';
import { writeRooms } from 'm3l/rooms';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

let folder: string;
let run: RunFolder;
let file: string;
let text: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'm3l-hostile-'));
  const counts = { labelled: 1, unlabelled: 1, val: 1 };
  await writeRooms(join(folder, 'rooms'), { ...counts, width: 48, height: 36, workers: 0 });
  run = RunFolder.create(config(), join(folder, 'run'));
  await train({ config: config(), run });
  file = join(findCheckpoint(run.checkpoints, 'latest')!, 'checkpoint.json');
  text = readFileSync(file, 'utf8');
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function config() {
  return checkConfig({
    data: {
      root: join(folder, 'rooms'),
      classes: 13,
      lists: { labelled: 'train_labelled.txt', val: 'val.txt' },
      crop: 32,
    },
    framework: 'supervised',
    model: { backbone: 'mit-b0' },
    iterations: 1,
    batch: { labelled: 1 },
    evaluate: { samples: 0 },
    threads: 1,
    workers: 0,
  });
}

// biome-ignore lint/suspicious/noExplicitAny: any shape is the point
type Facts = any;

/** Resumes from the checkpoint with its facts changed. */
function resumed(damage: (facts: Facts) => unknown): Promise<unknown> {
  const facts = JSON.parse(text);
  const changed = damage(facts) ?? facts;
  writeFileSync(file, typeof changed === 'string' ? changed : JSON.stringify(changed));
  return train({ config: config(), run, resume: true }).finally(() => writeFileSync(file, text));
}

describe('a checkpoint whose JSON is of another shape', () => {
  const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`;
  const cases: [string, (facts: Facts) => unknown, RegExp][] = [
    ['nothing but a format', () => ({ format: 1 }), /checkpoint\.json: iteration: /],
    ['another format', (f) => ({ ...f, format: 2 }), /format: .*1/],
    ['no JSON', () => '{"format": 1,', /JSON/],
    ['a list', () => [], /the whole: .*object/],
    ['deep nesting', () => deep, /the whole/],
    ['deep nesting as a score', () => text.replace(/"score": [^\n]+/, `"score": ${deep}`), /score/],
    ['a text as iteration', (f) => ({ ...f, iteration: '1' }), /iteration: .*number/],
    ['a negative iteration', (f) => ({ ...f, iteration: -1 }), /iteration/],
    ['no model', (f) => ({ ...f, config: { ...f.config, model: null } }), /config\.model/],
    [
      'a model of objects',
      (f) => void Object.assign(f.config.model, { name: { toString: 1 } }),
      /config\.model\.name/,
    ],
    ['no modalities', (f) => void delete f.config.data.modalities, /config\.data\.modalities/],
    ['no meta', (f) => ({ ...f, meta: null }), /meta: /],
    ['no meta.iteration', (f) => void delete f.meta.iteration, /meta\.iteration/],
    [
      'another meta.iteration',
      (f) => void Object.assign(f.meta, { iteration: 5 }),
      /meta\.iteration is 5, expected 1/,
    ],
    ['no optimizer', (f) => void delete f.meta.optimizer, /meta\.optimizer/],
    [
      'groups of texts',
      (f) => void Object.assign(f.meta.optimizer, { groups: ['a'] }),
      /meta\.optimizer\.groups\.0/,
    ],
  ];

  it.each(cases)('01 %s is told by its key', async (_, damage, message) => {
    const failing = resumed(damage);
    await expect(failing).rejects.toMatchObject({ code: 'M3L_CHECKPOINT_READ' });
    await expect(failing).rejects.toThrow(message);
  });

  it('01 a model option that is no text is shown as it stands', async () => {
    const failing = resumed(
      (f) => void Object.assign(f.config.model, { backbone: { toString: 1 } }),
    );
    await expect(failing).rejects.toMatchObject({ code: 'M3L_CHECKPOINT_MODEL' });
    await expect(failing).rejects.toThrow('model.backbone is {"toString":1} there');
  });

  it('02 params in a group never become parameters', async () => {
    const failing = resumed(
      (f) => void Object.assign(f.meta.optimizer.groups[0], { params: [1, 2] }),
    );
    await expect(failing).rejects.toMatchObject({ code: 'M3L_CHECKPOINT_READ' });
    await expect(failing).rejects.toThrow(/group 0: params is no option/);
  });

  it('03 keys of prototypes stay keys', async () => {
    await resumed(() => text.replace('{', '{"__proto__": {"polluted": 1}, "constructor": 1,'));
    expect(({} as { polluted?: number }).polluted).toBeUndefined();
  });

  it('04 a long file is not read', async () => {
    await expect(resumed(() => ' '.repeat(17 << 20) + text)).rejects.toThrow(
      /has \d+ bytes, expected at most/,
    );
  });

  it('05 a tensor named like a property is one', () => {
    torch.scope(() => {
      const path = saveCheckpoint(
        join(folder, 'named'),
        {
          iteration: 1,
          config: config(),
          tensors: Object.fromEntries([['__proto__', torch.ones([1])]]),
          meta: null,
          score: null,
        },
        { keep: 1 },
      );
      expect(Object.keys(loadCheckpoint(path).tensors)).toEqual(['__proto__']);
    });
  });
});
