import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { torch } from 'm3l';
import { disposeBatch } from 'm3l/data';
import {
  type Config,
  checkConfig,
  checkData,
  type EvaluationReport,
  evaluateRun,
  headline,
  openDatasets,
  predict,
  RunFolder,
  resolveConfig,
  type TrainEvent,
  train,
} from 'm3l/experiment';
import { frameworkNamed, frameworkNames, type TrainingBatch } from 'm3l/learning';
import { writeRooms } from 'm3l/rooms';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { shared } from '../helpers/shared.js';

let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'm3l-train-'));
  const counts = { labelled: 2, unlabelled: 3, val: 2 };
  await writeRooms(join(folder, 'rooms'), { ...counts, width: 48, height: 36, workers: 0 });
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function tiny(changes: Record<string, unknown> = {}): Config {
  return checkConfig({
    data: {
      root: join(folder, 'rooms'),
      classes: 13,
      lists: {
        labelled: 'train_labelled.txt',
        unlabelled: 'train_unlabelled.txt',
        val: 'val.txt',
      },
      crop: 32,
      evaluationSize: [36, 48],
    },
    model: { backbone: 'mit-b0' },
    iterations: 2,
    batch: { labelled: 1, unlabelled: 1 },
    evaluate: { samples: 0 },
    threads: 1,
    workers: 0,
    ...changes,
  });
}

describe('train', () => {
  it.each(frameworkNames)('01 runs %s', async (framework) => {
    const config = tiny({ framework });
    const run = RunFolder.create(config, join(folder, framework));
    const summary = await train({ config, run });
    const { evaluation } = summary;
    const [first] = evaluation.models;
    expect(first?.model).toBe(frameworkNamed(framework).headline);
    expect(evaluation.fill).toBe(config.model.maskToken ? null : 'zeros');
    expect(headline(evaluation).cases.map(({ name }) => name)).toEqual([
      'all',
      'rgb missing',
      'depth missing',
    ]);
    expect(summary.samples).toBeNull();
    expect(summary.parameters).toBeGreaterThan(3e6);
  });

  it('11 of a device that is auto says which it is, and opens a run of a device that is not here', async () => {
    const run = RunFolder.open(join(folder, 'supervised'));
    const here = torch.cuda.isAvailable() ? 'cuda:0' : 'cpu';
    expect(run.config().device).toBe('auto');
    expect(JSON.parse(readFileSync(run.summaryFile, 'utf8')).device).toBe(here);
    const notes: string[] = [];
    const onNote = (text: string) => notes.push(text);
    await evaluateRun(run, { onNote });
    expect(notes[0]).toMatch(new RegExp(`^Computes on ${here}.*device is auto`));
    const { configFile } = run;
    const text = readFileSync(configFile, 'utf8');
    writeFileSync(configFile, text.replace(/^device: .*$/m, 'device: cuda:63'));
    try {
      await evaluateRun(run, { onNote });
      expect(notes[1]).toMatch(/^Computes on cpu: trained on cuda:63, and /);
      const asked = evaluateRun(run, { sets: ['device=cuda:63'] });
      await expect(asked).rejects.toThrow(/device is 'cuda:63', but /);
    } finally {
      writeFileSync(configFile, text);
    }
  });

  it('02 evaluates a model without mask token with any fill', async () => {
    const run = RunFolder.open(join(folder, 'supervised'));
    const reports = await Promise.all(
      (['zeros', 'mean'] as const).map((fill) => evaluateRun(run, { fill })),
    );
    expect(reports.map(({ fill }) => fill)).toEqual(['zeros', 'mean']);
    const [zeros, mean] = reports.map((report) => headline(report).cases);
    expect(zeros![0]).toEqual(mean![0]);
  });

  it('05 evaluates the test list, which a check alone looks at beside', async () => {
    const run = RunFolder.open(join(folder, 'supervised'));
    await expect(evaluateRun(run, { split: 'test' })).rejects.toMatchObject({
      code: 'M3L_NO_TEST_LIST',
    });
    const views = ['evaluate.flip=true', 'evaluate.scales=[1, 0.5]', 'evaluate.window=32'];
    const seen = await evaluateRun(run, { missing: [], sets: views });
    expect(seen.views).toEqual({
      flip: true,
      scales: [1, 0.5],
      window: [32, 32],
      windowOverlap: 0.5,
    });
    const list = join(folder, 'rooms', 'train_labelled.txt');
    const sets = [`data.lists.test={ file: ${list}, count: 1 }`];
    const report = await evaluateRun(run, { split: 'test', sets });
    expect(report).toMatchObject({ split: 'test', images: 1 });
    const config = run.config(sets);
    const checked = (test: boolean) => checkData({ config, workers: 0, measure: false, test });
    const { splits, findings } = await checked(true);
    expect(splits.test).toMatchObject({ scenes: 1, usable: 1 });
    expect(findings).toContainEqual(
      expect.objectContaining({ code: 'M3L_CHECK_SHARED', split: 'test' }),
    );
    expect((await checked(false)).splits.test).toBeNull();
  });

  it('10 lets both networks of cps answer together where asked to', async () => {
    const run = RunFolder.open(join(folder, 'cps'));
    const names = ({ models }: EvaluationReport) => models.map(({ model }) => model);
    const plain = await evaluateRun(run);
    expect(names(plain)).toEqual(['branch1', 'branch2']);
    const together = await evaluateRun(run, { sets: ['evaluate.average=true'] });
    expect(names(together)).toEqual(['branch1 + branch2', 'branch1', 'branch2']);
    expect(together.models.slice(1)).toEqual(plain.models);
    expect(headline(together).cases[0]!.meanIoU).not.toBe(headline(plain).cases[0]!.meanIoU);
    const out = join(folder, 'together.png');
    const rgb = join(folder, 'rooms', 'rgb', 'val_000000.png');
    const sets = ['evaluate.average=true'];
    const scene = await predict(run, { images: { rgb }, out, sets });
    expect(scene.missing).toEqual(['depth']);
    expect(() => tiny({ evaluate: { average: true } })).toThrow(/'m3l' trains one network/);
  });

  it('03 ends by a signal with everything saved', async () => {
    const config = tiny({ iterations: 50, checkpoint: { every: 0 } });
    const run = RunFolder.create(config, join(folder, 'aborted'));
    const controller = new AbortController();
    const events: TrainEvent['kind'][] = [];
    const training = train({
      config,
      run,
      signal: controller.signal,
      onEvent({ kind }) {
        if (kind !== 'checking' && kind !== 'note') events.push(kind);
        if (kind === 'step') controller.abort();
      },
    });
    await expect(training).rejects.toMatchObject({ code: 'M3L_INTERRUPTED', iteration: 1 });
    expect(events).toEqual(['start', 'step', 'checkpoint']);
    expect(existsSync(join(run.checkpoints, 'step-0000001'))).toBe(true);
  });

  it('04 refuses a device that is not there', async () => {
    const config = tiny({ device: 'cuda:99' });
    const run = RunFolder.create(config, join(folder, 'device'));
    await expect(train({ config, run })).rejects.toThrow(/cuda:99/);
    const captured = tiny({ device: 'cpu', cudaGraph: true });
    const another = RunFolder.create(captured, join(folder, 'captured'));
    await expect(train({ config: captured, run: another })).rejects.toThrow(
      /cudaGraph is true and device is 'cpu'.*--set cudaGraph=false/,
    );
  });
});

function disposeTraining({ labelled, unlabelled }: TrainingBatch): void {
  for (const one of [labelled, ...(unlabelled ? [unlabelled] : [])]) disposeBatch(one);
}

describe('openDatasets', () => {
  it('06 takes the samples that the lists name', async () => {
    const config = tiny();
    const { lists } = config.data;
    lists!.val = { file: 'val.txt', choose: 'first', names: ['rgb/val_000001.png'] };
    const datasets = await openDatasets(config);
    expect(datasets.validationImages).toBe(1);
    for await (const { names } of datasets.samples(3)) expect(names).toEqual(lists!.val.names);
    await datasets.close();
    lists!.val = { file: 'val.txt', choose: 'first', names: ['rgb/val_00001.png'] };
    await expect(openDatasets(config)).rejects.toThrow(/Did you mean 'rgb\/val_00000\d\.png'/);
    lists!.val = { file: 'val.txt', choose: 'spread', count: 3 };
    await expect(openDatasets(config)).rejects.toThrow(/found 3, but val.txt holds 2/);
  });

  it('09 gives the same batches wherever they are augmented', async () => {
    const read = async (augmentOn: 'worker' | 'device') => {
      const { data, ...config } = tiny({ workers: 2 });
      const datasets = await openDatasets({ ...config, data: { ...data, augmentOn } });
      disposeTraining(await datasets.batch(0));
      datasets.prepare(1);
      const { labelled, unlabelled } = await datasets.batch(1);
      const values = [labelled, unlabelled!].flatMap(({ modalities }) =>
        modalities.map((tensor) => tensor.toTypedArray() as Float32Array),
      );
      disposeTraining({ labelled, unlabelled });
      await datasets.close();
      return values;
    };
    const [worker, device] = [await read('worker'), await read('device')];
    worker.forEach((values, k) => {
      const worst = values.reduce((m, v, i) => Math.max(m, Math.abs(v - device[k]![i]!)), 0);
      expect(worst).toBeLessThan(4e-6);
    });
  });

  const potholes = shared('data/potholes');

  it.skipIf(potholes === null)('07 spreads 6 labelled potholes over the list', async () => {
    const file = join(import.meta.dirname, '../../configs/potholes.yaml');
    const config = resolveConfig(file, [`data.root=${potholes}`, 'workers=0']);
    expect(config.data.lists?.labelled).toMatchObject({ count: 6, choose: 'spread' });
    const datasets = await openDatasets(config);
    expect(datasets.validationImages).toBe(19);
    expect(datasets.classes).toEqual(['road', 'pothole']);
    await datasets.close();
  });

  it.skipIf(potholes === null)('08 trains on the potholes', async () => {
    const file = join(import.meta.dirname, '../../configs/potholes.yaml');
    const config = resolveConfig(file, [
      `data.root=${potholes}`,
      ...['data.crop=64', 'data.resize=[72, 120]', 'data.evaluationSize=[72, 120]'],
      ...['iterations=12', 'evaluate.every=0', 'evaluate.samples=1', 'threads=1', 'workers=0'],
    ]);
    const run = RunFolder.create(config, join(folder, 'potholes'));
    const { evaluation, samples } = await train({ config, run });
    expect(evaluation.images).toBe(19);
    // All road would be 0.48.
    expect(evaluation.robustMeanIoU).toBeGreaterThan(0.3);
    expect(existsSync(samples!)).toBe(true);
  });
});
