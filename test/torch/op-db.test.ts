import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));

interface Outcome {
  name: string;
  status: 'equal' | 'wrong' | 'refused' | 'crashed' | 'left out';
  samples: number;
  equal?: number;
  gradients?: number;
  detail: string;
}

function run(allowed: number[], command: string, ...args: string[]): string {
  const env = { ...process.env, OMP_NUM_THREADS: '1' };
  const { stdout, stderr, status } = spawnSync(process.execPath, [command, ...args], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
    env,
  });
  if (!allowed.includes(status ?? -1)) throw new Error(`${command}: ${status} ${stderr}`);
  return stdout;
}

/** Replays a file; the calls that came out equal are written to a folder of their own. */
function replayed(file: string, folder: string): Outcome[] {
  mkdirSync(`${root}${folder}`, { recursive: true });
  const outcomes = `${folder}/outcomes.jsonl`;
  run([0], 'scripts/op-db/main.mjs', file, `--json=${outcomes}`, `--calls=${folder}/calls.ts`);
  const lines = readFileSync(`${root}${outcomes}`, 'utf8').split('\n').filter(Boolean);
  return lines.map((line) => JSON.parse(line));
}

const withStatus = (outcomes: Outcome[], ...statuses: Outcome['status'][]) =>
  outcomes
    .filter(({ status }) => statuses.includes(status))
    .map(({ name, detail }) => `${name}: ${detail}`);

// Written by scripts/golden/op-db.py: the smallest samples always, all of them where they were made.
const folder = 'build/op-db-test';
const whole = 'build/op-db.jsonl.gz';
const files = ['test/fixtures/op-db.jsonl.gz', ...(existsSync(`${root}${whole}`) ? [whole] : [])];

describe("PyTorch's operator database", () => {
  it.each(files)('01 %s: nothing comes out wrong, and all is there', (file) => {
    const outcomes = replayed(file, folder);
    expect(withStatus(outcomes, 'wrong', 'refused', 'crashed')).toEqual([]);
    const equal = outcomes.filter(({ status }) => status === 'equal');
    expect(equal.length).toBeGreaterThan(600);
    const gradients = equal.reduce((sum, outcome) => sum + (outcome.gradients ?? 0), 0);
    expect(gradients).toBeGreaterThan(700);
  });

  it('02 every call that runs compiles', () => {
    const options = { include: ['calls.ts'], extends: '../../test/tsconfig.json' };
    writeFileSync(`${root}${folder}/tsconfig.json`, JSON.stringify(options));
    const calls = readFileSync(`${root}${folder}/calls.ts`, 'utf8').split('\n');
    expect(calls.length).toBeGreaterThan(700);
    const faults = run([0, 2], 'node_modules/typescript/bin/tsc', '-p', folder)
      .split('\n')
      .filter(Boolean);
    const lines = faults.map((fault) => calls[Number(/\((\d+),/.exec(fault)?.[1]) - 1]);
    expect(lines).toEqual([]);
  });

  it('03 a wrong value, a missing name and a wrong gradient are told', () => {
    const script = `
      const { replay } = await import('./scripts/op-db/replay.mjs');
      const x = { t: 'float32', shape: [1], data: 'AACAPw==', grad: true };
      const sample = (change) => ({ call: 'torch.add', args: [x, x], named: {}, ...change });
      const results = { t: 'float32', shape: [1], data: 'AAAAQA==' };
      const seed = { t: 'float32', shape: [1], data: 'AABAvw==' };
      for (const change of [
        { results, grads: [seed, seed] },
        { results: x, grads: [seed, seed] },
        { results, grads: [seed, x] },
        { results, call: 'torch.nothing' },
        { results: [results] },
      ]) console.log(replay({ name: 'add', cases: [sample(change)] }).status);`;
    expect(run([0], '--input-type=module', '-e', script).split('\n').filter(Boolean)).toEqual(
      'equal wrong wrong refused wrong'.split(' '),
    );
  });
});
