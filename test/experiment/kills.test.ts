import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { findCheckpoint } from 'm3l/experiment';
import { writeRooms } from 'm3l/rooms';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const preload = pathToFileURL(join(import.meta.dirname, '../helpers/kill-at.mjs')).href;
const library = new URL('../../dist/experiment/index.js', import.meta.url).href;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'm3l-kills-'));
  const counts = { labelled: 1, unlabelled: 1, val: 1 };
  await writeRooms(join(folder, 'rooms'), { ...counts, width: 48, height: 36, workers: 0 });
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Every evaluation differs from the one before, so that the best changes on the way. */
const SCRIPT = `
import { checkConfig, RunFolder, train } from ${JSON.stringify(library)};
const [path, root] = process.argv.slice(1);
const config = checkConfig({
  data: {
    root,
    classes: 13,
    lists: { labelled: 'train_labelled.txt', val: 'val.txt' },
    crop: 32,
    evaluationSize: [36, 48],
  },
  framework: 'supervised',
  model: { backbone: 'mit-b0' },
  iterations: 3,
  batch: { labelled: 1, unlabelled: 1 },
  optimiser: { encoderLr: 0.01, decoderLr: 0.01 },
  evaluate: { every: 1, samples: 0 },
  checkpoint: { every: 2, keep: 1 },
  threads: 1,
  workers: 0,
});
let run;
try { run = RunFolder.create(config, path); } catch { /* trained already */ }
await train({ config, run: run ?? RunFolder.open(path), resume: run === undefined });
`;

/** Trains, or goes on, until the kill; gives how many changes it made where it was not killed. */
function train(run: string, at: number): number | null {
  const { status, signal, stderr } = spawnSync(
    process.execPath,
    ['--import', preload, '--input-type=module', '-e', SCRIPT, run, join(folder, 'rooms')],
    {
      encoding: 'utf8',
      env: {
        PATH: process.env.PATH,
        HOME: process.env.HOME,
        LIBTORCH: process.env.LIBTORCH,
        M3L_HOME: process.env.M3L_HOME,
        OMP_NUM_THREADS: '1',
        M3L_KILL_IN: run,
        M3L_KILL_AT: `${at}`,
      },
    },
  );
  if (signal === 'SIGKILL') return null;
  expect(status, stderr).toBe(0);
  return Number(stderr.match(/changes: (\d+)/)![1]);
}

function outcome(run: string) {
  const checkpoints = join(run, 'checkpoints');
  const latest = findCheckpoint(checkpoints, 'latest')!;
  const metrics = readFileSync(join(run, 'metrics.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => {
      const { seconds: _, waitSeconds: __, memory: ___, ...rest } = JSON.parse(line);
      return rest;
    });
  return {
    latest: basename(latest),
    best: basename(findCheckpoint(checkpoints, 'best')!),
    checkpoints: readdirSync(checkpoints),
    files: readdirSync(run),
    metrics,
    model: readFileSync(join(latest, 'model.safetensors'), 'base64'),
    training: readFileSync(join(latest, 'training.safetensors'), 'base64'),
  };
}

describe('a training that is killed', () => {
  it('comes to the same whenever that happens, and leaves nothing behind', () => {
    const whole = join(folder, 'whole');
    const changes = train(whole, 0)!;
    expect(changes).toBeGreaterThan(40);
    const expected = outcome(whole);
    expect(expected.files.sort()).toEqual([
      'checkpoints',
      'config.yaml',
      'metrics.jsonl',
      'summary.json',
    ]);
    // Each kill hits later in what the one before has left, until there is nothing left to do. With
    // M3L_EVERY_KILL: one kill, at each moment there is.
    const every = process.env.M3L_EVERY_KILL !== undefined;
    for (let at = every ? 1 : 4; at <= changes; at += every ? 1 : 43) {
      const run = join(folder, `killed-${at}`);
      let [next, killed] = [at, 0];
      while (train(run, next) === null) {
        killed += 1;
        next = every ? 0 : next + 7;
      }
      expect(killed, `killed at ${at}`).toBeGreaterThan(0);
      expect(outcome(run), `killed at ${at}`).toEqual(expected);
      rmSync(run, { recursive: true });
    }
  }, 600_000);
});
