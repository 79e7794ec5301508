import {
  cpSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { m3l, type Outcome } from './m3l.js';

// Real files, damaged one by one, as training meets them through the command line.

const WIDTH = 48;
const HEIGHT = 36;
let folder: string;
let good: string;
let copies = 0;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'm3l-bad-data-'));
  good = join(folder, 'good');
  const rooms = await m3l([
    ...['rooms', good, '--labelled', '1', '--unlabelled', '1', '--val', '1'],
    ...['--size', `${HEIGHT}x${WIDTH}`, '--workers', '0'],
  ]);
  expect(rooms.code, rooms.stderr).toBe(0);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

const CONFIG = `
data:
  root: .
  classes: 13
  lists: { labelled: train_labelled.txt, unlabelled: train_unlabelled.txt, val: val.txt }
  crop: 32
  evaluationSize: [${HEIGHT}, ${WIDTH}]
model: { backbone: mit-b0 }
framework: m3l
iterations: 2
batch: { labelled: 1, unlabelled: 1 }
evaluate: { samples: 0 }
threads: 1
workers: 0
`;

const RGB = 'rgb/labelled_000000.png';
const DEPTH = 'depth/labelled_000000.png';
const LABEL = 'label/labelled_000000.png';

/** Trains two steps on a copy of the data after `damage` has been at it. */
async function trainOn(
  damage: (data: string) => void | Promise<void>,
  config = CONFIG,
  options: readonly string[] = [],
): Promise<Outcome & { run: string }> {
  const data = join(folder, `copy-${copies++}`);
  cpSync(good, data, { recursive: true });
  await damage(data);
  writeFileSync(join(data, 'config.yaml'), config);
  const run = join(data, 'run');
  return {
    run,
    ...(await m3l(['train', join(data, 'config.yaml'), '--out', run, '--json', ...options])),
  };
}

function writeGrey(file: string, value: number, width = WIDTH, height = HEIGHT): Promise<unknown> {
  const pixels = new Uint8Array(width * height).fill(value);
  const raw = { width, height, channels: 1 as const };
  return sharp(pixels, { raw }).toColourspace('b-w').png().toFile(file);
}

function expectFailure({ code, stdout, stderr }: Outcome, expected: string, ...words: string[]) {
  expect(code, stderr).toBe(1);
  expect(JSON.parse(stdout).error.code, stderr).toBe(expected);
  for (const word of words) expect(stderr).toContain(word);
  expect(stderr).not.toMatch(/^\s+at /m);
}

describe('bad data', () => {
  it('01 a missing image', async () => {
    const result = await trainOn((data) => unlinkSync(join(data, RGB)));
    expectFailure(result, 'M3L_IMAGE_MISSING', RGB);
  });

  it('02 a truncated image', async () => {
    const result = await trainOn((data) => {
      truncateSync(join(data, DEPTH), Math.floor(readFileSync(join(data, DEPTH)).length / 2));
    });
    expectFailure(result, 'M3L_IMAGE_CORRUPT', DEPTH, 'truncated');
  });

  it('03 sizes that differ between modalities', async () => {
    const result = await trainOn(
      async (data) => void (await writeGrey(join(data, DEPTH), 9, 20, 10)),
    );
    expectFailure(result, 'M3L_SIZE_MISMATCH', '20 × 10', `${WIDTH} × ${HEIGHT}`);
  });

  it('04 labels outside the classes', async () => {
    const result = await trainOn(async (data) => void (await writeGrey(join(data, LABEL), 77)));
    expectFailure(result, 'M3L_LABEL_RANGE', LABEL, '77', '0 to 12');
  });

  it('05 unshifted labels, which start at 1', async () => {
    const result = await trainOn(async (data) => void (await writeGrey(join(data, LABEL), 13)));
    expectFailure(result, 'M3L_LABEL_RANGE', 'labelOffset');
  });

  it('06 a list line with a wrong number of columns', async () => {
    const result = await trainOn((data) => {
      writeFileSync(join(data, 'train_labelled.txt'), `${RGB}\t${DEPTH}\t${LABEL}\n${RGB}\n`);
    });
    expectFailure(result, 'M3L_LIST_COLUMNS', 'train_labelled.txt:2', 'tabs');
  });

  it('07 a list that is not there, and an empty one', async () => {
    const absent = await trainOn((data) => unlinkSync(join(data, 'val.txt')));
    expectFailure(absent, 'M3L_LIST_MISSING', 'val.txt');
    const empty = await trainOn((data) => writeFileSync(join(data, 'val.txt'), '\n'));
    expectFailure(empty, 'M3L_LIST_EMPTY', 'val.txt');
  });

  it('08 a configuration with a typo', async () => {
    const { code, stdout, stderr } = await trainOn(
      () => {},
      CONFIG.replace('iterations', 'itertions'),
    );
    expect(code).toBe(2);
    expect(JSON.parse(stdout).error.code).toBe('M3L_CONFIG_UNKNOWN_KEY');
    expect(stderr).toContain("did you mean 'iterations'?");
  });

  it('09 constant depth is no error: it reads as zeros', async () => {
    const result = await trainOn(async (data) => {
      for (const split of ['labelled', 'unlabelled', 'val']) {
        await writeGrey(join(data, `depth/${split}_000000.png`), 100);
      }
    });
    expectFinite(result);
  });

  it('10 an all-void label teaches nothing, and where all are it is said first', async () => {
    const damage = async (data: string) => void (await writeGrey(join(data, LABEL), 255));
    expectFailure(await trainOn(damage), 'M3L_CHECK_ONE_CLASS', 'nothing but void');
    const [first] = expectFinite(await trainOn(damage, CONFIG, ['--no-check']));
    expect(first).toMatchObject({ sup: 0 });
  });

  it('11 the error of a worker thread arrives whole', async () => {
    const config = CONFIG.replace('workers: 0', 'workers: 2');
    const result = await trainOn((data) => unlinkSync(join(data, RGB)), config, ['--no-check']);
    expectFailure(result, 'M3L_IMAGE_MISSING', RGB);
  });
});

/** The logged training steps of a run that came through with finite losses. */
function expectFinite({ code, stderr, run }: Outcome & { run: string }): { loss: number }[] {
  expect(code, stderr).toBe(0);
  const steps = readFileSync(join(run, 'metrics.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
    .filter(({ kind }) => kind === 'train');
  expect(steps).toHaveLength(2);
  for (const { loss } of steps) expect(Number.isFinite(loss)).toBe(true);
  return steps.map(({ parts, ...step }) => ({ ...step, ...parts }));
}
