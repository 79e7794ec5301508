import { spawn, spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import {
  type Config,
  checkConfig,
  evaluateRun,
  findCheckpoint,
  RunFolder,
  type TrainEvent,
  train,
} from 'm3l/experiment';
import { writeRooms } from 'm3l/rooms';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

let folder: string;
let whole: RunFolder;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'm3l-runs-'));
  const counts = { labelled: 2, unlabelled: 1, val: 1 };
  await writeRooms(join(folder, 'rooms'), { ...counts, width: 48, height: 36, workers: 0 });
  whole = create('whole');
  await train({ config: tiny(), run: whole });
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function tiny(changes: Record<string, unknown> = {}, root = 'rooms'): Config {
  return checkConfig({
    data: {
      root: join(folder, root),
      classes: 13,
      lists: { labelled: 'train_labelled.txt', val: 'val.txt' },
      crop: 32,
      evaluationSize: [36, 48],
    },
    framework: 'supervised',
    model: { backbone: 'mit-b0' },
    iterations: 4,
    batch: { labelled: 1 },
    evaluate: { samples: 0 },
    threads: 1,
    workers: 0,
    ...changes,
  });
}

const create = (name: string, config = tiny()) => RunFolder.create(config, join(folder, name));

const weights = (run: RunFolder) =>
  readFileSync(join(findCheckpoint(run.checkpoints, 'latest')!, 'model.safetensors'), 'base64');

/** Trains a run during which something breaks after so many steps; gives the error. */
async function broken(run: RunFolder, config: Config, after: number, damage: () => void) {
  const onEvent = (event: TrainEvent) => {
    if (event.kind === 'step' && event.iteration === after) damage();
  };
  return train({ config, run, onEvent }).then(
    () => expect.fail('nothing failed'),
    (error: Error & { code: string }) => error,
  );
}

describe('an error after training began', () => {
  it.each([
    ['in the evaluation', /^val_/, 4],
    // Every image is read once, then cached: the second is not there yet.
    ['in loading data', /^(?!val_)/, 1],
  ])('01 %s leaves the last step, from which training goes on', async (_, files, after) => {
    const place = `rooms-${after}`;
    cpSync(join(folder, 'rooms'), join(folder, place), { recursive: true });
    const run = create(`failed-${after}`, tiny({}, place));
    const error = await broken(run, tiny({}, place), after, () => {
      const labels = join(folder, place, 'label');
      for (const name of readdirSync(labels).filter((each) => files.test(each))) {
        writeFileSync(join(labels, name), 'no image');
      }
    });
    expect(error.code).toMatch(/^M3L_/);
    expect(error.message).toContain(`after iteration ${after} is saved`);
    expect(error.message).toContain(`m3l train --resume ${run.path}`);
    expect(basename(findCheckpoint(run.checkpoints, 'latest')!)).toBe(`step-000000${after}`);
    await train({ config: tiny(), run, resume: true });
    expect(weights(run)).toBe(weights(whole));
  });

  it('02 of the loss leaves the weights and statistics of the step before', async () => {
    const config = tiny({
      optimiser: { encoderLr: 1000, decoderLr: 1000 },
      evaluate: { every: 0 },
    });
    const run = create('infinite', config);
    const error = await broken(run, config, 99, () => {});
    expect(error.code).toBe('M3L_LOSS_NOT_FINITE');
    expect(error.message).toContain(`m3l train --resume ${run.path}`);
  });

  it('03 of the log leaves a checkpoint, and nothing half written', async () => {
    const run = create('unlogged');
    const error = await broken(run, tiny(), 2, () => {
      rmSync(run.metricsFile);
      mkdirSync(run.metricsFile);
    });
    expect(error.code).toBe('M3L_RUN_WRITE');
    expect(error.message).toMatch(/after iteration 3 is saved/);
    expect(existsSync(join(run.checkpoints, 'step-0000003'))).toBe(true);
    expect(existsSync(join(run.path, 'run.lock'))).toBe(false);
  });

  it('04 before the first step leaves nothing, and the same place does again', async () => {
    const config = tiny();
    config.data.lists!.val.file = 'absent.txt';
    const run = create('mended', config);
    await expect(train({ config, run })).rejects.toThrow(/absent\.txt/);
    expect(existsSync(run.path)).toBe(false);
    const summary = await train({ config: tiny({ iterations: 1 }), run: create('mended') });
    expect(summary.iterations).toBe(1);
    expect(run.config().iterations).toBe(1);
    expect(() => create('mended')).toThrow(/already holds a run/);
  });
});

describe('a run stopped before its evaluation', () => {
  it('05 has its best where one in one go has it', async () => {
    const config = tiny({
      iterations: 2,
      evaluate: { every: 1, samples: 0 },
      checkpoint: { keep: 1 },
    });
    const run = create('stopped', config);
    const controller = new AbortController();
    const onEvent = ({ kind }: TrainEvent) => {
      if (kind === 'step') controller.abort();
    };
    await expect(train({ config, run, signal: controller.signal, onEvent })).rejects.toMatchObject({
      code: 'M3L_INTERRUPTED',
    });
    await train({ config, run, resume: true });
    const through = create('through', config);
    await train({ config, run: through });
    const best = (of: RunFolder) => basename(findCheckpoint(of.checkpoints, 'best')!);
    expect(best(run)).toBe(best(through));
    expect(readdirSync(run.checkpoints)).toEqual(readdirSync(through.checkpoints));
  });
});

describe('the lock of a run', () => {
  it('06 keeps a second process out while the first lives, and is taken over after', async () => {
    const run = create('locked');
    const library = new URL('../../dist/experiment/run-folder.js', import.meta.url).href;
    const script = `
      import { RunFolder } from '${library}';
      const run = RunFolder.create({ name: 'x' }, '${run.path}');
      try { run.lock(); console.log('locked'); }
      catch (error) { console.log(error.code, error.message); process.exit(); }
      if (process.argv[1] === 'stay') setInterval(() => {}, 1000);`;
    const args = ['--input-type=module', '-e', script];
    const first = spawn(process.execPath, [...args, 'stay']);
    await new Promise((resolve) => first.stdout.once('data', resolve));
    const second = spawnSync(process.execPath, args, { encoding: 'utf8' }).stdout;
    expect(second).toMatch(new RegExp(`^M3L_RUN_LOCKED .*process ${first.pid} has been training`));
    expect(() => run.lock()).toThrow(/M3L_RUN_LOCKED|has been training/);
    const ended = new Promise((resolve) => first.once('close', resolve));
    first.kill('SIGKILL');
    await ended;
    expect(existsSync(join(run.path, 'run.lock'))).toBe(true);
    // Taken over by a process that ends without releasing it: its exit does.
    expect(spawnSync(process.execPath, args, { encoding: 'utf8' }).stdout).toBe('locked\n');
    expect(readdirSync(run.path)).toEqual([]);
  });

  it('07 of a pid that another process has now, or that is damaged, is stale', () => {
    const run = create('stale');
    const file = join(run.path, 'run.lock');
    mkdirSync(run.path);
    const owner = { pid: process.pid, host: hostname(), process: 'another boot 1', since: 'x' };
    for (const text of [JSON.stringify(owner), '{"pid":', '', '[]']) {
      writeFileSync(file, text);
      run.lock()();
      expect(readdirSync(run.path)).toEqual([]);
    }
    writeFileSync(file, JSON.stringify({ ...owner, host: 'elsewhere' }));
    expect(() => run.lock()).toThrow(/on elsewhere .*remove that file/);
  });

  it('08 is not in the way of readers', async () => {
    const unlock = whole.lock();
    expect(() => whole.lock()).toThrow(expect.objectContaining({ code: 'M3L_RUN_LOCKED' }));
    const { iteration } = await evaluateRun(RunFolder.open(whole.path));
    expect(iteration).toBe(4);
    unlock();
  });
});

describe('a place for a run', () => {
  it('09 that cannot be written to is told by code, with the mend', async () => {
    const file = join(folder, 'a-file');
    writeFileSync(file, '');
    expect(() => create('a-file')).toThrow(expect.objectContaining({ code: 'M3L_RUN_EXISTS' }));
    const config = tiny({ iterations: 1 });
    for (const path of ['/proc/nowhere', join(file, 'run')]) {
      const attempt = async () => train({ config, run: RunFolder.create(config, path) });
      const rejection = expect(attempt()).rejects;
      await rejection.toMatchObject({ code: 'M3L_RUN_WRITE' });
      await expect(attempt()).rejects.toThrow(/give another --out/);
    }
  });

  it('10 that holds a config.yaml of someone is not written over', () => {
    const path = join(folder, 'own');
    mkdirSync(path);
    writeFileSync(join(path, 'config.yaml'), 'mine: true\n');
    expect(() => create('own')).toThrow(/config\.yaml that is no run’s/);
  });
});

describe('what a run holds', () => {
  it('11 is left out of the log where it is damaged', async () => {
    const run = RunFolder.create(tiny(), join(folder, 'damaged-log'));
    cpSync(whole.path, run.path, { recursive: true });
    const lines = readFileSync(run.metricsFile, 'utf8').trim().split('\n');
    const wrong = ['5', 'null', '{}', '{"kind":"train"}', '{"kind":"evaluation","iteration":4}'];
    writeFileSync(run.metricsFile, [...wrong, ...lines, '{"kind":"tra'].join('\n'));
    expect(run.metrics()).toHaveLength(lines.length);
    const summary = await train({ config: tiny(), run, resume: true });
    expect(readFileSync(run.metricsFile, 'utf8')).toBe(`${lines.join('\n')}\n`);
    expect(summary.evaluation.iteration).toBe(4);
  });
});
