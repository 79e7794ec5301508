import {
  cpSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Comparison } from 'm3l/experiment';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { m3l, type Outcome } from './m3l.js';

// Two frameworks and two seeds are compared once; the tests continue, stop and ask copies of it.

const ITERATIONS = 4;
let folder: string;
let config: string;
let whole: string;
let compared: Outcome;

const CONFIG = `
data:
  root: rooms
  classes: 13
  lists: { labelled: train_labelled.txt, unlabelled: train_unlabelled.txt, val: val.txt }
  crop: 32
  evaluationSize: [36, 48]
model: { backbone: mit-b0 }
framework: m3l
iterations: 9
batch: { labelled: 1, unlabelled: 1 }
evaluate: { batch: 2, samples: 1 }
checkpoint: { every: 2 }
threads: 1
workers: 0
`;

const ARGS = ['--seeds', '11,5', '--set', `iterations=${ITERATIONS}`, 'batch.labelled=2'];
const compare = (out: string, ...more: string[]) =>
  m3l(['compare-frameworks', ...ARGS, config, '--out', out, ...more]);
const comparisonOf = (out: string) =>
  JSON.parse(readFileSync(join(out, 'comparison.json'), 'utf8')) as Comparison;
const model = (out: string, run: string) =>
  readFileSync(join(out, run, 'checkpoints', `step-000000${ITERATIONS}`, 'model.safetensors'));

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'm3l-compare-'));
  const rooms = await m3l([
    ...['rooms', join(folder, 'rooms'), '--labelled', '2', '--unlabelled', '2', '--val', '2'],
    ...['--size', '36x48', '--workers', '0'],
  ]);
  expect(rooms.code, rooms.stderr).toBe(0);
  config = join(folder, 'tiny.yaml');
  writeFileSync(config, CONFIG);
  whole = join(folder, 'whole');
  compared = await compare(whole);
  expect(compared.code, compared.stderr).toBe(0);
}, 300_000);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Signals a comparison once this one of its four runs has done two steps. */
function signalled(out: string, signal: NodeJS.Signals, run: number): Promise<Outcome> {
  let sent = false;
  return m3l(['compare-frameworks', ...ARGS, config, '--out', out], {
    onStderr(text, child) {
      if (sent || !new RegExp(`^${run}/4 .* 2/${ITERATIONS} `, 'm').test(text)) return;
      sent = true;
      child.kill(signal);
    },
  });
}

describe('m3l compare-frameworks', () => {
  it('01 trains each framework from each seed and tells all', () => {
    const { seeds, runs, rows, gains } = comparisonOf(whole);
    expect(seeds).toEqual([11, 5]);
    expect(runs.map(({ framework, seed }) => `${framework}-${seed}`)).toEqual([
      ...['supervised-11', 'supervised-5', 'm3l-11', 'm3l-5'],
    ]);
    expect(rows.map(({ framework, fill }) => [framework, fill])).toEqual([
      ['supervised', 'zeros'],
      ['supervised', 'noise'],
      ['supervised', 'mean'],
      ['m3l', null],
    ]);
    expect(gains.map(({ fill }) => fill)).toEqual(['best', 'zeros']);
    const resolved = readFileSync(join(whole, 'm3l-5', 'config.yaml'), 'utf8');
    expect(resolved).toContain('seed: 5');
    expect(resolved).toContain(`iterations: ${ITERATIONS}`);
    expect(resolved).toContain('labelled: 2');
    for (const part of ['supervised', 'noise', 'mask token', 'seed 11', 'm3l over supervised']) {
      expect(compared.stdout).toContain(part);
    }
    expect(compared.stderr).toContain('3/4 supervised (seed 5)');
  });

  it('02 gives the scores that evaluating the runs gives', async () => {
    const { code, stdout, stderr } = await m3l([
      ...['evaluate', join(whole, 'supervised-5'), '--fill', 'noise', '--json'],
    ]);
    expect(code, stderr).toBe(0);
    const scores = comparisonOf(whole).runs[1]!.scores;
    expect(scores[1]!.robustMeanIoU).toBe(JSON.parse(stdout).robustMeanIoU);
  });

  it('03 takes finished runs as they are, wherever the folder is now', async () => {
    const moved = join(folder, 'moved');
    cpSync(whole, moved, { recursive: true });
    const before = statSync(join(moved, 'm3l-5', 'metrics.jsonl')).mtimeMs;
    const again = await compare(moved, '--json', '--fills', 'mean,zeros');
    expect(again.code, again.stderr).toBe(0);
    expect(again.stderr).toContain('4/4 m3l (seed 5) is finished');
    const { rows, runs } = JSON.parse(again.stdout) as Comparison;
    expect(rows.map(({ fill }) => fill)).toEqual(['mean', 'zeros', null]);
    expect(rows[1]!.robustMeanIoU).toEqual(comparisonOf(whole).rows[0]!.robustMeanIoU);
    expect(runs[0]!.run).toBe(join(moved, 'supervised-11'));
    expect(runs[0]!.samples).toBe(join(moved, 'supervised-11', 'samples.png'));
    expect(statSync(join(moved, 'm3l-5', 'metrics.jsonl')).mtimeMs).toBe(before);
  });

  it('04 goes on after Ctrl-C and after a kill as if it had never stopped', async () => {
    const out = join(folder, 'stopped');
    const interrupted = await signalled(out, 'SIGINT', 3);
    expect(interrupted.code, interrupted.stderr).toBe(130);
    expect(interrupted.stderr).toContain(`the same command with --out ${out}`);
    expect(existsSync(join(out, 'm3l-5'))).toBe(false);
    const killed = await signalled(out, 'SIGKILL', 4);
    expect(killed.signal).toBe('SIGKILL');
    expect(killed.stderr).toContain('2/4 m3l (seed 11) is finished');
    expect(existsSync(join(out, 'comparison.json'))).toBe(false);
    const resumed = await compare(out);
    expect(resumed.code, resumed.stderr).toBe(0);
    expect(resumed.stderr).toContain('3/4 supervised (seed 5) is finished');
    const [found, wanted] = [comparisonOf(out), comparisonOf(whole)];
    expect(found.rows).toEqual(wanted.rows);
    expect(found.gains).toEqual(wanted.gains);
    for (const run of ['supervised-5', 'm3l-5']) {
      expect(model(out, run).equals(model(whole, run)), run).toBe(true);
    }
  }, 300_000);

  it('05 refuses a changed configuration and a foreign folder before it trains', async () => {
    const changed = await compare(whole, '--set', 'optimiser.encoderLr=0.5');
    expect(changed.code).toBe(1);
    expect(changed.stderr).toContain('optimiser.encoderLr was 0.0006, is 0.5');
    const subsets = await compare(whole, '--set', 'evaluate.subsets=true');
    expect(subsets.code).toBe(1);
    expect(subsets.stderr).toContain('evaluate.subsets false');
    const single = await compare(join(whole, 'm3l-5'));
    expect(single.code).toBe(1);
    expect(single.stderr).toContain('M3L_COMPARE_FOLDER');
    const file = await compare(config);
    expect(file.stderr).toContain('M3L_COMPARE_FOLDER');
  });

  it('06 refuses what it does not know before it trains', async () => {
    const out = join(folder, 'none');
    for (const [args, found] of [
      [['--frameworks', 'supervised,m3'], "Did you mean 'm3l'?"],
      [['--frameworks', 'm3l', 'mean-techer'], "Did you mean 'mean-teacher'?"],
      [['--frameworks', 'm3l,m3l'], "'m3l' is given twice"],
      [['--fills', 'zeroes'], "Did you mean 'zeros'?"],
      [['--seeds', '0'], 'whole number'],
      [['--seeds', '3,3'], "'3' is given twice"],
      [['--set', 'iteration=3'], "did you mean 'iterations'?"],
    ] as const) {
      const { code, stderr } = await m3l(['compare-frameworks', config, '--out', out, ...args]);
      expect(code, stderr).toBe(2);
      expect(stderr).toContain(found);
    }
    expect(existsSync(out)).toBe(false);
  });
});
