import { existsSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type Config,
  checkConfig,
  predict,
  RunFolder,
  resumeConfig,
  type TrainEvent,
  train,
} from 'm3l/experiment';
import { writeRooms } from 'm3l/rooms';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'm3l-resume-'));
  const counts = { labelled: 1, unlabelled: 0, val: 1 };
  await writeRooms(join(folder, 'rooms'), { ...counts, width: 48, height: 36, workers: 0 });
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function tiny(changes: Record<string, unknown> = {}): Config {
  return checkConfig({
    data: {
      root: join(folder, 'rooms'),
      classes: 13,
      lists: { labelled: 'train_labelled.txt', val: 'val.txt' },
      crop: 32,
      evaluationSize: [36, 48],
    },
    framework: 'supervised',
    model: { backbone: 'mit-b0' },
    iterations: 2,
    batch: { labelled: 1 },
    evaluate: { samples: 0 },
    threads: 1,
    workers: 0,
    ...changes,
  });
}

describe('resumeConfig', () => {
  let run: RunFolder;
  beforeAll(() => {
    run = RunFolder.create(tiny(), join(folder, 'settings'));
    run.begin(tiny());
  });

  it.each([
    ['workers=3', null],
    ['data.root=/elsewhere', null],
    ['checkpoint.every=7', null],
    ['evaluate.fill=mean', null],
    ['initialise=/gone', null],
    [`data.palette=[${Array(13).fill("'#102030'")}]`, null],
    ['threads=2', 'Goes on with threads 1 → 2: not bit for bit'],
    ['device=cuda', 'device "auto" → "cuda": not bit for bit'],
    ['precision=bfloat16', 'not bit for bit'],
    ['channelsLast=true', 'not bit for bit'],
    ['cudaGraph=true', 'not bit for bit'],
    ['data.augmentOn=device', 'data.augmentOn unset → "device": not bit for bit'],
    ['data.lists.val=/moved/val.txt', 'holds the same samples in the same order'],
    ['iterations=5', 'iterations 2 → 5: the schedule goes on over the new total'],
  ])('01 allows %s', (set, note) => {
    const { config, notes } = resumeConfig(run, undefined, [set]);
    expect(config).toEqual({ ...run.config([set]), name: run.config().name });
    expect(notes).toEqual(note === null ? [] : [expect.stringContaining(note)]);
  });

  it.each([
    ['iterations=1', 'iterations was 2, is 1'],
    ['seed=4', 'seed was 1, is 4'],
    ['batch.labelled=2', 'batch.labelled was 1, is 2'],
    ['data.lists.labelled.count=1', 'data.lists.labelled.count was unset, is 1'],
    ['optimiser.clipGradientNorm=1', 'optimiser.clipGradientNorm was null, is 1'],
    ['data.crop=64', 'data.crop was [32,32], is [64,64]'],
  ])('02 refuses %s', (set, message) => {
    expect(() => resumeConfig(run, undefined, [set])).toThrow(message);
  });
});

describe('a run that goes on', () => {
  it('03 trains further than it was to, its data moved, and predicts without them', async () => {
    const first = tiny({ optimiser: { clipGradientNorm: 0.5 } });
    const run = RunFolder.create(first, join(folder, 'run'));
    await train({ config: first, run });
    const moved = join(folder, 'moved');
    renameSync(join(folder, 'rooms'), moved);
    try {
      const { config } = resumeConfig(run, undefined, ['iterations=3', `data.root=${moved}`]);
      run.storeConfig(config);
      expect(run.config()).toEqual(config);
      const events: TrainEvent[] = [];
      const onEvent = (event: TrainEvent) => events.push(event);
      const summary = await train({ config, run, resume: true, onEvent });
      expect(events.filter(({ kind }) => kind === 'step')).toHaveLength(1);
      expect([summary.iterations, summary.evaluation.iteration]).toEqual([3, 3]);
      const rates = run.metrics().flatMap(({ learningRates }) => (learningRates as number[]) ?? []);
      expect(rates.length).toBeGreaterThan(0);

      const away = join(folder, 'away');
      renameSync(moved, away);
      const out = join(folder, 'classes.png');
      await predict(run, { images: { rgb: join(away, 'rgb/val_000000.png') }, out });
      expect(existsSync(out)).toBe(true);
      await expect(train({ config, run, resume: true })).rejects.toMatchObject({
        code: 'M3L_CONFIG_DATA_ROOT',
        message: expect.stringContaining('--set data.root=FOLDER'),
      });
      renameSync(away, moved);
    } finally {
      renameSync(moved, join(folder, 'rooms'));
    }
  });

  it('04 clips the gradients as configured', async () => {
    const norms = async (clipGradientNorm: number | null) => {
      const config = tiny({ optimiser: { clipGradientNorm }, iterations: 1 });
      const run = RunFolder.create(config, join(folder, `clip-${clipGradientNorm}`));
      await train({ config, run });
      return run.metrics().find(({ kind }) => kind === 'train')?.gradientNorm;
    };
    expect(await norms(null)).toBeNull();
    expect(await norms(1e-3)).toBeGreaterThan(1e-3);
  });
});
