import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Comparison, resolveConfig } from 'm3l/experiment';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { optionsOfOthers } from '../../dist/experiment/config/choice.js';
import type { SuiteGain, TaskScore } from '../../dist/experiment/suite.js';
import { temporaryFolder } from '../data/fixtures.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = temporaryFolder();
const out = join(folder, 'suite');

interface Suite {
  tasks: TaskScore[];
  gain: SuiteGain;
  failures: { task: string }[];
}

function suite(...args: string[]) {
  return spawnSync(process.execPath, [join(root, 'scripts/suite.mjs'), ...args], {
    encoding: 'utf8',
    env: { ...process.env, OMP_NUM_THREADS: '1', NODE_OPTIONS: '' },
  });
}

const read = <Value>(...path: string[]) =>
  JSON.parse(readFileSync(join(out, ...path), 'utf8')) as Value;

describe('configs/suite', () => {
  it('01 has tasks of data, classes and sizes alone', () => {
    const files = readdirSync(join(root, 'configs/suite'));
    expect(files.length).toBeGreaterThan(10);
    for (const file of files.filter((name) => /-/.test(name))) {
      const config = resolveConfig(join(root, 'configs/suite', file));
      const defaults = resolveConfig(join(root, 'configs/data/rooms.yaml'));
      for (const key of ['framework', 'optimiser', 'schedule'] as const) {
        expect(config[key], `${file}: ${key}`).toEqual(defaults[key]);
      }
      expect([config.threads, config.workers], file).toEqual([1, 0]);
    }
  });
});

describe('npm run suite', () => {
  const args = [
    ...['--tasks', 'rooms-rare,rooms-thermal', '--frameworks', 'supervised,m3l'],
    ...['--seeds', '11,5', '--out', out, '--set', 'iterations=2'],
    ...['data.rooms={ labelled: 2, unlabelled: 1, val: 2, size: [32, 40] }', 'data.crop=32'],
  ];

  it('02 gives what the comparisons of its tasks come to', () => {
    const { status, stderr, stdout } = suite(...args);
    expect(status, stderr).toBe(0);
    expect(stderr).toContain('8/8 rooms-thermal m3l (seed 5): robust');
    const { tasks, gain, failures } = read<Suite>('suite.json');
    expect(failures).toEqual([]);
    expect(tasks.map(({ task, choosing }) => [task, choosing])).toEqual([
      ['rooms-rare', true],
      ['rooms-thermal', true],
    ]);
    for (const { task, seeds, frameworks, gain: own } of tasks) {
      const { rows } = read<Comparison>(task, 'comparison.json');
      const [best, m3l] = ['supervised', 'm3l'].map(
        (name) => rows.find((row) => row.best && row.framework === name)!,
      );
      expect(seeds).toEqual([11, 5]);
      expect(frameworks.map(({ fill }) => fill)).toEqual([best!.fill, null]);
      const all = (row: typeof best) => row!.cases.find(({ name }) => name === 'all')!;
      const robust = 100 * (m3l!.robustMeanIoU.mean - best!.robustMeanIoU.mean);
      const whole = 100 * (all(m3l).mean - all(best).mean);
      expect(own!.robust.mean).toBeCloseTo(robust, 9);
      expect(own!.all.mean).toBeCloseTo(whole, 9);
      expect(own!.met).toBe(robust >= 5 && whole >= -1);
      expect(frameworks[0]!.all.values).toEqual(all(best).values);
      expect(stdout).toContain(`| ${task} † | ${(100 * all(best).mean).toFixed(1)} / `);
    }
    expect(gain.robust).toBeCloseTo(
      (tasks[0]!.gain!.robust.mean + tasks[1]!.gain!.robust.mean) / 2,
    );
    expect(gain.met).toBe(tasks.filter((task) => task.gain!.met).length);
    expect(stdout.trim()).toBe(readFileSync(join(out, 'suite.md'), 'utf8').trim());
    const config = readFileSync(join(out, 'rooms-thermal', 'm3l-5', 'config.yaml'), 'utf8');
    expect(config).toContain('thermal');
  }, 300_000);

  it('03 repeats no run that is finished', () => {
    const log = join(out, 'rooms-rare', 'm3l-5', 'metrics.jsonl');
    const before = statSync(log).mtimeMs;
    const { status, stderr, stdout } = suite(...args, '--json');
    expect(status, stderr).toBe(0);
    expect(statSync(log).mtimeMs).toBe(before);
    expect(JSON.parse(stdout)).toEqual(read('suite.json'));
  });

  it('04 refuses what it does not know, and goes on where one task alone fails', () => {
    for (const [wrong, text] of [
      [['--tasks', 'rooms-9'], "Did you mean 'rooms-8'?"],
      [['--set', 'iteration=3'], "did you mean 'iterations'?"],
      [['rooms-8'], "found 'rooms-8', expected an option"],
    ] as const) {
      const { status, stderr } = suite('--out', join(folder, 'none'), ...wrong);
      expect(status, stderr).toBe(2);
      expect(stderr).toContain(text);
    }
    const { status, stderr } = suite(...args, '--set', 'evaluate.subsets=true');
    expect(status, stderr).toBe(1);
    expect(stderr).toContain('Failed: rooms-rare, rooms-thermal.');
  });
});

describe('an option of one framework', () => {
  const own = { name: 'm3l', options: z.object({ ramp: z.number().default(1) }) };
  const all = [
    own,
    { name: 'supervised' },
    { name: 'other', options: z.object({ tau: z.number() }) },
  ];

  it('05 is left out for those of a comparison that have none of that name', () => {
    const left = (name: string, compared: string[]) =>
      optionsOfOthers(['lambda', 'ramp', 'tau'], name, compared, all);
    expect(left('supervised', ['supervised', 'm3l'])).toEqual(['ramp']);
    expect(left('m3l', ['supervised', 'm3l'])).toEqual([]);
    expect(left('supervised', ['supervised'])).toEqual([]);
    expect(left('m3l', ['m3l', 'other'])).toEqual(['tau']);
  });
});
