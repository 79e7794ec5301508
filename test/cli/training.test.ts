import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readLabels } from 'm3l/data';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { m3l, type Outcome } from './m3l.js';

// One tiny run is trained once; the tests continue, damage and ask copies of it.

const ITERATIONS = 8;
let folder: string;
let config: string;
let whole: string;
let trained: Outcome;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'm3l-training-'));
  const rooms = await m3l([
    ...['rooms', join(folder, 'rooms'), '--labelled', '2', '--unlabelled', '3', '--val', '2'],
    ...['--size', '36x48', '--workers', '0'],
  ]);
  expect(rooms.code, rooms.stderr).toBe(0);
  config = join(folder, 'tiny.yaml');
  writeFileSync(config, CONFIG);
  whole = join(folder, 'whole');
  trained = await m3l(['train', config, '--out', whole, '--json']);
  expect(trained.code, trained.stderr).toBe(0);
}, 300_000);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

const CONFIG = `
data:
  root: rooms
  classes: 13
  lists: { labelled: train_labelled.txt, unlabelled: train_unlabelled.txt, val: val.txt }
  crop: 32
  evaluationSize: [36, 48]
model: { backbone: mit-b0 }
framework: m3l
iterations: ${ITERATIONS}
batch: { labelled: 1, unlabelled: 1 }
evaluate: { every: 4, batch: 2, samples: 2 }
checkpoint: { every: 2 }
threads: 1
workers: 1
seed: 3
`;

const model = (run: string, step = ITERATIONS) =>
  readFileSync(join(run, 'checkpoints', `step-000000${step}`, 'model.safetensors'));

/** The losses that a run logged, in order. */
function losses(run: string): number[] {
  return readFileSync(join(run, 'metrics.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { kind: string; loss: number })
    .filter(({ kind }) => kind === 'train')
    .map(({ loss }) => loss);
}

/** Signals a training once its log holds this many steps. */
async function signalled(out: string, signal: NodeJS.Signals, steps: number): Promise<Outcome> {
  let sent = false;
  const done = m3l(['train', config, '--out', out], {
    onStderr(text, child) {
      const reached = [...text.matchAll(/^m3l\s+(\d+)\/8/gm)].map((match) => Number(match[1]));
      if (sent || Math.max(0, ...reached) < steps) return;
      sent = true;
      child.kill(signal);
    },
  });
  return done;
}

describe('m3l train', () => {
  it('01 writes a run folder and machine-readable results', () => {
    const summary = JSON.parse(trained.stdout);
    expect(summary.iterations).toBe(ITERATIONS);
    expect(summary.evaluation.models.map((entry: { model: string }) => entry.model)).toEqual([
      'teacher',
      'student',
    ]);
    expect(summary.evaluation.robustMeanIoU).toBeGreaterThan(0);
    for (const file of ['config.yaml', 'metrics.jsonl', 'summary.json', 'samples.png']) {
      expect(existsSync(join(whole, file)), file).toBe(true);
    }
    expect(losses(whole)).toHaveLength(ITERATIONS);
    expect(trained.stderr).toMatch(/m3l\s+8\/8/);
  });

  it('02 refuses to train over a run', async () => {
    const { code, stderr } = await m3l(['train', config, '--out', whole]);
    expect(code).toBe(1);
    expect(stderr).toContain('already holds a run');
    expect(stderr).toContain('--resume');
  });

  it('03 goes on after SIGINT as if it had never stopped', async () => {
    const run = join(folder, 'interrupted');
    const stopped = await signalled(run, 'SIGINT', 3);
    expect(stopped.code, stopped.stderr).toBe(130);
    expect(stopped.stderr).toContain(`m3l train --resume ${run}`);
    expect(losses(run).length).toBeLessThan(ITERATIONS);
    const resumed = await m3l(['train', '--resume', run, '--json']);
    expect(resumed.code, resumed.stderr).toBe(0);
    expect(losses(run)).toEqual(losses(whole));
    expect(model(run).equals(model(whole))).toBe(true);
  });

  it('04 goes on after SIGKILL as if it had never stopped', async () => {
    const run = join(folder, 'killed');
    const killed = await signalled(run, 'SIGKILL', 5);
    expect(killed.signal).toBe('SIGKILL');
    // What a kill in the middle of a write leaves behind.
    writeFileSync(join(run, 'metrics.jsonl'), '{"kind":"train","iter', { flag: 'a' });
    mkdirSync(join(run, 'checkpoints', '.step-0000006.tmp-1'), { recursive: true });
    const resumed = await m3l(['train', config, '--resume', run]);
    expect(resumed.code, resumed.stderr).toBe(0);
    expect(losses(run)).toEqual(losses(whole));
    expect(model(run).equals(model(whole))).toBe(true);
    expect(existsSync(join(run, 'checkpoints', '.step-0000006.tmp-1'))).toBe(false);
  });

  it('05 does not resume with another configuration', async () => {
    const args = ['train', config, '--set', 'seed=4', '--resume', whole];
    const { code, stderr } = await m3l(args);
    expect(code).toBe(1);
    expect(stderr).toContain('seed was 3, is 4');
  });

  it('06 keeps the last good checkpoint where the disk takes no more', async () => {
    const run = join(folder, 'full');
    const stopped = await signalled(run, 'SIGINT', 2);
    expect(stopped.code, stopped.stderr).toBe(130);
    const before = JSON.parse(stopped.stderr.match(/iteration (\d+)/)![1]!) as number;
    const good = model(run, before);
    // A file may have 4 MB (in blocks of 512 bytes): a checkpoint of 15 MB is cut short.
    const { code, stderr } = await m3l(['train', '--resume', run], { prelude: 'ulimit -f 8000' });
    expect(code).toBe(1);
    expect(stderr).toContain('M3L_CHECKPOINT_WRITE');
    expect(stderr).toContain('intact');
    expect(stderr).not.toMatch(/^\s+at /m);
    expect(model(run, before).equals(good)).toBe(true);
    const resumed = await m3l(['train', '--resume', run]);
    expect(resumed.code, resumed.stderr).toBe(0);
    expect(model(run).equals(model(whole))).toBe(true);
  });
});

describe('m3l evaluate', () => {
  it('07 finds what training found', async () => {
    const { code, stdout, stderr } = await m3l(['evaluate', whole, '--json']);
    expect(code, stderr).toBe(0);
    const report = JSON.parse(stdout);
    expect(report.models).toEqual(JSON.parse(trained.stdout).evaluation.models);
  });

  it('08 takes one modality away, or every set of them', async () => {
    const missing = await m3l(['evaluate', whole, '--missing', 'depth', '--json']);
    const { models } = JSON.parse(missing.stdout);
    expect(models[0].heads[0].cases.map((one: { name: string }) => one.name)).toEqual([
      'depth missing',
    ]);
    const table = await m3l(['evaluate', whole, '--subsets']);
    expect(table.stdout).toContain('teacher ensemble *');
    expect(table.stdout).toContain('rgb missing');
    const typo = await m3l(['evaluate', whole, '--missing', 'dept']);
    expect(typo.code).toBe(2);
    expect(typo.stderr).toContain("Did you mean 'depth'?");
  });

  it('11 draws how the run falls off as its inputs get worse', async () => {
    const out = join(folder, 'curves.png');
    const args = ['robustness', whole, '--kinds', 'fog,masked-tokens', '--levels', '1'];
    const { code, stdout, stderr } = await m3l([...args, '--out', out, '--json']);
    expect(code, stderr).toBe(0);
    const { curves, picture } = JSON.parse(stdout);
    expect(curves).toHaveLength(3);
    expect(picture).toBe(out);
    expect((await sharp(out).metadata()).format).toBe('png');
    const typo = await m3l(['robustness', whole, '--kinds', 'fgo']);
    expect(typo.code).toBe(2);
    expect(typo.stderr).toContain("found the corruption 'fgo', expected masked-tokens,");
  });

  it('09 refuses a checkpoint of another model', async () => {
    const args = ['evaluate', whole, '--set', 'model.backbone=mit-b1'];
    const { code, stderr } = await m3l(args);
    expect(code).toBe(1);
    expect(stderr).toContain('M3L_CHECKPOINT_MODEL');
    expect(stderr).toContain('model.backbone is mit-b0 there, mit-b1 is wanted');
  });

  it('10 names a damaged checkpoint and what to do', async () => {
    const run = join(folder, 'damaged');
    cpSync(whole, run, { recursive: true });
    const file = join(run, 'checkpoints', 'step-0000008', 'model.safetensors');
    writeFileSync(file, readFileSync(file).subarray(0, 1000));
    const { code, stderr } = await m3l(['evaluate', run]);
    expect(code).toBe(1);
    expect(stderr).toContain('M3L_CHECKPOINT_READ');
    expect(stderr).toMatch(/Remove it to use step-000000\d/);
  });
});

describe('m3l predict', () => {
  const image = (part: string) => join(folder, 'rooms', part, 'val_000000.png');

  it('11 predicts from whichever modalities are given', async () => {
    const out = join(folder, 'classes.png');
    for (const given of [
      ['--rgb', image('rgb'), '--depth', image('depth')],
      ['--rgb', image('rgb')],
      ['--modality', `depth=${image('depth')}`],
    ]) {
      const overlay = join(folder, 'overlay.png');
      const args = ['predict', whole, ...given, '--out', out, '--overlay', overlay, '--json'];
      const { code, stdout, stderr } = await m3l(args);
      expect(code, stderr).toBe(0);
      const result = JSON.parse(stdout);
      expect(result.size).toEqual([36, 48]);
      expect(result.missing).toHaveLength(2 - given.length / 2);
      const { width, height, data } = await readLabels(out);
      expect([width, height]).toEqual([48, 36]);
      expect(Math.max(...data)).toBeLessThan(13);
      expect(existsSync(overlay)).toBe(true);
    }
  });

  it('12 refuses a foreign modality and an image that is not there', async () => {
    const out = join(folder, 'none.png');
    const foreign = await m3l(['predict', whole, '--modality', 'dpeth=x.png', '--out', out]);
    expect(foreign.code).toBe(2);
    expect(foreign.stderr).toContain("Did you mean 'depth'?");
    const absent = await m3l(['predict', whole, '--rgb', 'absent.png', '--out', out]);
    expect(absent.code).toBe(1);
    expect(absent.stderr).toContain('absent.png');
    expect(existsSync(out)).toBe(false);
  });

  it('13 writes in the format of the name, into folders that it makes', async () => {
    const out = join(folder, 'made', 'deep', 'classes.TIF');
    const given = ['predict', whole, '--depth', image('depth')];
    const tiff = await m3l([...given, '--overlay', '--out', out, '--set', 'threads=1']);
    expect(tiff.code, tiff.stderr).toBe(0);
    const overlay = join(folder, 'made', 'deep', 'classes-overlay.png');
    expect(tiff.stderr).toContain(overlay);
    expect((await sharp(out).metadata()).format).toBe('tiff');
    expect((await sharp(overlay).metadata()).format).toBe('png');
    const png = join(folder, 'made', 'classes.png');
    const named = await m3l([...given, '--out', png, '--overlay', png.replace('png', 'jpg')]);
    expect(named.code, named.stderr).toBe(0);
    expect((await sharp(png.replace('png', 'jpg')).metadata()).format).toBe('jpeg');
    const pixels = (file: string) => sharp(file).toColourspace('b-w').raw().toBuffer();
    expect((await pixels(out)).equals(await pixels(png))).toBe(true);
  });

  it('14 refuses outputs that it cannot write before any work', async () => {
    const rgb = image('rgb');
    const before = readFileSync(rgb);
    const png = join(folder, 'refused.png');
    for (const [args, found] of [
      [['--out', 'classes.bmp'], '.png, .tif, .tiff'],
      [['--out', 'classes.jpg'], '.png, .tif, .tiff'],
      [['--out', png, '--overlay', 'x.gif'], '.webp'],
      [['--out', png, '--overlay', png], "both 'overlay' and 'classes'"],
      [['--out', join(rgb, 'below.png')], `${rgb} is no folder`],
      [['--out', rgb], "both 'classes' and 'rgb'"],
      [['--out', png, '--checkpoint', 'bets'], "Did you mean 'best'?"],
      [['--out', png, '--set', 'evaluate.fil=mean'], "did you mean 'evaluate.fill'?"],
    ] as const) {
      const { code, stderr } = await m3l(['predict', whole, '--rgb', rgb, ...args]);
      expect(code, stderr).toBe(2);
      expect(stderr).toContain(found);
    }
    expect(existsSync(png)).toBe(false);
    expect(readFileSync(rgb).equals(before)).toBe(true);
  });
});

describe('m3l pretrain', () => {
  it('01 trains and writes the package, told as JSON', async () => {
    const out = join(folder, 'pretrained');
    const { code, stdout, stderr } = await m3l([
      ...['pretrain', config, '--out', out, '--json'],
      ...['--set', 'framework=supervised-modality-dropout', 'iterations=1'],
    ]);
    expect(code, stderr).toBe(0);
    const { weights, run, iterations } = JSON.parse(stdout);
    expect({ run, iterations }).toEqual({ run: out, iterations: 1 });
    expect(weights).toMatchObject({
      name: '@m3l/weights-mit-b0-tiny',
      file: join(out, 'package/encoder.safetensors'),
    });
    expect(readFileSync(weights.file)).toHaveLength(weights.bytes);
  });

  it('02 exports a run that is there, and trains nothing', async () => {
    const target = join(folder, 'weights');
    const { code, stderr } = await m3l(['pretrain', whole, '--export', target]);
    expect(code, stderr).toBe(0);
    expect(stderr).toContain(`model.pretrained=${join(target, 'encoder.safetensors')}`);
    const mixed = await m3l(['pretrain', whole, '--export', target, '--set', 'seed=2']);
    expect(mixed.code).toBe(2);
    expect(mixed.stderr).toContain(`m3l pretrain --resume ${whole}`);
    const none = await m3l(['pretrain']);
    expect(none.stderr).toContain('Give a configuration: m3l pretrain CONFIG.yaml');
  });
});
