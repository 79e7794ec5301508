import { mkdirSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type BenchmarkEvent, benchmarkTable, readSuite, runSuite } from 'm3l/experiment';
import sharp from 'sharp';
import { expect, test } from 'vitest';
import { m3l, type Outcome } from '../cli/m3l.js';
import { temporaryFolder } from '../data/fixtures.js';

const folder = temporaryFolder();
const file = (name: string, text: string) => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};

file(
  'tiny.yaml',
  `
data:
  rooms: { labelled: 2, unlabelled: 2, val: 1, size: [36, 48] }
  crop: 32
model: { backbone: mit-b0 }
framework: supervised
iterations: 2
batch: { labelled: 1, unlabelled: 1 }
evaluate: { samples: 0 }
workers: 0
threads: 1
`,
);
const SUITE = `
seeds: [5]
experiments:
  plain: { title: plain, config: tiny.yaml, published: { all: 40, robust: 30.5 } }
  lost: { config: tiny.yaml, set: [model.pretrained=${join(folder, 'nix.pth')}] }
`;

test('what fails does not stop the others, what is done is kept, and the table has both', async () => {
  const suite = readSuite(file('suite.yaml', SUITE));
  const out = join(folder, 'out');
  const kinds: string[] = [];
  const onEvent = ({ job, kind }: BenchmarkEvent) => kinds.push(`${job.experiment} ${kind}`);
  const first = await runSuite(suite, { folder: out, onEvent });
  expect(kinds).toEqual(expect.arrayContaining(['plain begun', 'plain done', 'lost failed']));
  const [plain, lost] = first.rows;
  expect(plain!.all!.values).toHaveLength(1);
  expect(plain!.failed).toEqual([]);
  expect(lost).toMatchObject({ all: null, robust: null, failed: [{ seed: 5 }] });
  expect(lost!.failed[0]!.reason).toContain('nix.pth does not exist');
  const table = readFileSync(join(out, 'results.md'), 'utf8');
  const mean = 100 * plain!.all!.mean;
  expect(table).toContain(`| plain | ${mean.toFixed(1)} (−${(40 - mean).toFixed(1)}) | 40.0 |`);
  expect(table).toContain('lost, seed 5:');
  expect((await sharp(join(out, 'results.png')).metadata()).format).toBe('png');
  expect(JSON.parse(readFileSync(join(out, 'results.json'), 'utf8'))).toEqual(first);

  const written = statSync(join(out, 'plain-5', 'summary.json')).mtimeMs;
  kinds.length = 0;
  const only = readSuite(join(folder, 'suite.yaml'), { only: ['plain'] });
  const second = await runSuite(only, { folder: out, onEvent });
  expect(kinds).toEqual(['plain kept']);
  expect(second.rows).toEqual([plain]);
  expect(statSync(join(out, 'plain-5', 'summary.json')).mtimeMs).toBe(written);

  // Cut short, it is no summary: the run is gone on with.
  writeFileSync(join(out, 'plain-5', 'summary.json'), '{ "iterations": 2,');
  kinds.length = 0;
  const third = await runSuite(only, { folder: out, onEvent });
  expect(kinds).toContain('plain done');
  expect(third.rows[0]!.all).toEqual(plain!.all);
});

test('what is stopped says how to go on, and has trained nothing more', async () => {
  const suite = readSuite(join(folder, 'suite.yaml'), { only: ['plain'] });
  await expect(
    runSuite(suite, { folder: join(folder, 'stopped'), signal: AbortSignal.abort() }),
  ).rejects.toThrow(`--out ${join(folder, 'stopped')}`);
  expect(readdirSync(join(folder, 'stopped')).sort()).toEqual([
    '.claims',
    'results.json',
    'results.md',
    'results.png',
  ]);
});

/** Which trainings a launcher has begun, by their seeds. */
const begunBy = ({ stderr }: Outcome) =>
  [...stderr.matchAll(/seed (\d+) begins/g)].map(([, seed]) => Number(seed));

test('two processes take each training of a suite once, and both have the whole table', async () => {
  file('shared.yaml', SUITE.replace('[5]', '[1, 2, 3]'));
  const args = [
    'benchmark',
    join(folder, 'shared.yaml'),
    '--out',
    join(folder, 'shared'),
    '--json',
  ];
  const both = await Promise.all([m3l(args), m3l(args)]);
  // Three of each of the two experiments, of which one always fails.
  expect(both.flatMap(begunBy).sort()).toEqual([1, 1, 2, 2, 3, 3]);
  for (const outcome of both) {
    expect(begunBy(outcome).length, outcome.stderr).toBeGreaterThan(0);
    const { rows } = JSON.parse(outcome.stdout);
    expect(rows[0].failed).toEqual([]);
    expect(rows[0].all.values).toHaveLength(3);
    expect(rows[1].failed).toHaveLength(3);
    expect(rows[1].failed[0].reason).toContain('nix.pth does not exist');
  }
}, 60_000);

test('the training of a process that is lost is taken on, on this host or another', async () => {
  const text = SUITE.replace('[5]', '[1, 2]').replace(/ {2}lost:.*\n/, '');
  file('left.yaml', text);
  const out = join(folder, 'left');
  // One of a host that has been silent for longer than it may be.
  const claim = join(out, '.claims', 'plain-2');
  mkdirSync(claim, { recursive: true });
  const owner = { pid: 1, host: 'elsewhere', process: null, since: 'yesterday' };
  writeFileSync(join(claim, 'run.lock'), `${JSON.stringify(owner)}\n`);
  const before = new Date(Date.now() - 200_000);
  utimesSync(join(claim, 'run.lock'), before, before);

  const args = [
    'benchmark',
    join(folder, 'left.yaml'),
    '--out',
    out,
    '--json',
    '--set',
    'iterations=12',
  ];
  let killed = false;
  const killOnce = (said: string, kill: () => void) => {
    if (killed || !said.includes('begins')) return;
    killed = true;
    kill();
  };
  const first = await m3l(args, {
    onStderr: (said, child) => killOnce(said, () => setTimeout(() => child.kill('SIGKILL'), 1000)),
  });
  expect(first.signal).toBe('SIGKILL');
  const second = await m3l(args);
  expect(second.code, second.stderr).toBe(0);
  expect(new Set([...begunBy(first), ...begunBy(second)])).toEqual(new Set([1, 2]));
  expect(JSON.parse(second.stdout).rows[0].all.values).toHaveLength(2);
}, 60_000);

test('a suite is checked before anything is trained', () => {
  const refusal = (text: string, options = {}) => {
    try {
      readSuite(file('other.yaml', text), options);
      return 'read';
    } catch (error) {
      return `${(error as { code: string }).code}: ${(error as Error).message}`;
    }
  };
  expect(refusal('experiments: {}')).toMatch(/M3L_BENCHMARK_SUITE: .*at least one experiment/);
  expect(refusal('seeds: 0\nexperiments: {}')).toMatch(/M3L_BENCHMARK_SUITE: .*seeds/);
  expect(refusal('a: [')).toMatch(/M3L_BENCHMARK_SUITE: .*cannot be read/);
  expect(refusal(SUITE, { only: ['plane'] })).toMatch(
    /no experiment 'plane', expected .*plain, lost/,
  );
  expect(refusal(SUITE.replace('title: plain', 'titel: plain'))).toMatch(/titel/);
  expect(refusal(SUITE, { sets: ['iteratons=3'] })).toMatch(/iteratons/);
  expect(() => readSuite('papr')).toThrow('papr does not exist');
});

test('a table without anything published has no column for it', () => {
  const spread = { mean: 0.25, deviation: 0.01, values: [0.24, 0.26] };
  const row = { experiment: 'a', title: 'A', published: {}, all: spread, robust: spread };
  const table = benchmarkTable({
    suite: 'own',
    seeds: [1, 2],
    rows: [{ ...row, seconds: 90, failed: [] }],
  });
  expect(table).not.toContain('published');
  expect(table).toContain('| A | 25.0 ± 1.0 | 25.0 ± 1.0 | 1.5 | 2 of 2 |');
});
