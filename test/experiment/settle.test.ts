import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type Config,
  checkConfig,
  checkData,
  RunFolder,
  resumeConfig,
  train,
} from 'm3l/experiment';
import { writeRooms } from 'm3l/rooms';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'm3l-settle-'));
  const counts = { labelled: 3, unlabelled: 4, val: 1 };
  await writeRooms(join(folder, 'rooms'), { ...counts, width: 80, height: 48, workers: 0 });
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Names, paths and classes: all else is open but for what would take long. */
function short(changes: Record<string, unknown> = {}): Config {
  return checkConfig({
    data: {
      root: join(folder, 'rooms'),
      classes: 13,
      lists: {
        labelled: 'train_labelled.txt',
        unlabelled: 'train_unlabelled.txt',
        val: 'val.txt',
      },
      modalities: { rgb: 'rgb', depth: { kind: 'depth', invalid: 0 } },
    },
    model: { backbone: 'mit-b0' },
    iterations: 2,
    workers: 0,
    threads: 1,
    ...changes,
  });
}

describe('a configuration of names, paths and classes', () => {
  it('01 trains, says what was chosen, and keeps it', async () => {
    const notes: string[] = [];
    const given = short();
    const run = RunFolder.create(given, join(folder, 'run'));
    await train({
      config: given,
      run,
      onEvent: (event) => event.kind === 'note' && notes.push(event.text),
    });
    const config = run.config();
    expect(config).toMatchObject({
      data: { crop: [32, 32] },
      batch: { labelled: 3, unlabelled: 4 },
      optimiser: { encoderLr: 6e-4 },
      model: { maskTokenStd: 0.02 },
    });
    const { mean, std } = config.data.modalities.depth!;
    expect(mean).toBeGreaterThan(0.1);
    expect(std).toBeGreaterThan(0.05);
    expect(config.data.modalities.rgb).not.toHaveProperty('mean');
    const [chosen] = notes.filter((note) => note.startsWith('Chosen'));
    expect(chosen).toContain('batch.labelled: 3 (at most 8 of 3 labelled images)');
    expect(chosen).toContain(`data.modalities.depth.mean: ${mean} (measured on 7 training images)`);

    // Other frameworks and seeds are given the same, and so is a check.
    const others = short({ framework: 'supervised', seed: 5 });
    const report = await checkData({ config: others, workers: 0 });
    expect(report.chosen.map(({ key, value }) => `${key}: ${JSON.stringify(value)}`)).toEqual(
      chosen!
        .split('\n')
        .slice(1)
        .map((line) => line.trim().replace(/ \(.*/, '')),
    );

    // What goes on has what it began with.
    const resumed = resumeConfig(run, short({ iterations: 3 })).config;
    expect(resumed).toEqual({ ...config, iterations: 3 });
    await train({ config: short({ iterations: 3 }), run, resume: true });
    expect(run.config()).toEqual(resumed);
  });

  it('03 weighs classes by their pixels where asked to, and keeps the weights', async () => {
    const asked = (iterations: number) =>
      short({ framework: { name: 'supervised', classWeights: 'inverse-frequency' }, iterations });
    const run = RunFolder.create(asked(1), join(folder, 'weighed'));
    const notes: string[] = [];
    await train({
      config: asked(1),
      run,
      onEvent: (event) => void (event.kind === 'note' && notes.push(event.text)),
    });
    const weights = run.config().framework.classWeights as number[];
    expect(weights).toHaveLength(run.config().data.classes?.length ?? 13);
    expect(new Set(weights).size).toBeGreaterThan(3);
    const chosen = notes.find((note) => note.startsWith('Chosen'));
    expect(chosen).toContain('(inverse-frequency of 3 labelled images)');
    const { chosen: checked } = await checkData({ config: asked(1), workers: 0 });
    expect(checked).toContainEqual(
      expect.objectContaining({ key: 'framework.classWeights', value: weights }),
    );
    const resumed = resumeConfig(run, asked(2)).config;
    expect(resumed.framework.classWeights).toEqual(weights);
    await train({ config: resumed, run, resume: true });
  });

  it('02 measures nothing for the paper, nor what is configured', async () => {
    const paper = await checkData({
      config: short({ framework: { fidelity: 'paper' } }),
      workers: 0,
    });
    expect(paper.chosen).toEqual([]);
    const { data } = short();
    const modalities = { rgb: 'rgb', depth: { kind: 'depth', mean: 0.3 } };
    const { chosen } = await checkData({
      config: short({ data: { ...data, modalities } }),
      workers: 0,
    });
    const keys = chosen.map(({ key }) => key).filter((key) => key.includes('modalities'));
    expect(keys).toEqual(['data.modalities.depth.std']);
  });
});
