import { fork } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Shard } from '../../data/index.js';
import { shardShape } from '../../data/rules.js';
import { makeFolder, writeFileAtomic } from '../../torch/atomic-write.js';
import { checkArguments } from '../../torch/check-arguments.js';
import * as is from '../../torch/rules.js';
import { type Spread, spread } from '../comparison.js';
import { RunError } from '../errors.js';
import { headline } from '../evaluate.js';
import { finishedRun } from '../finished-run.js';
import { RunFolder } from '../run-folder.js';
import type { TrainSummary } from '../train.js';
import { drawBenchmark } from './chart.js';
import type { RunnerMessage } from './runner-message.js';
import type { BenchmarkJob, Published, Suite } from './suite-file.js';
import { benchmarkTable } from './table.js';

const RUNNER = fileURLToPath(new URL('runner.js', import.meta.url));

/** An experiment of a suite over its seeds; plain JSON. */
export interface BenchmarkRow {
  experiment: string;
  title: string;
  published: Published;
  /** Shares of 1 over the seeds that finished; null where none did. */
  all: Spread | null;
  robust: Spread | null;
  /** Seconds in training steps of a run, on average; null where none finished. */
  seconds: number | null;
  /** Seeds that did not finish, and why. */
  failed: { seed: number; reason: string }[];
}

/** What a suite came to; plain JSON. */
export interface BenchmarkReport {
  suite: string;
  seeds: number[];
  rows: BenchmarkRow[];
}

/** What happens while a suite runs, for a progress bar or a log. */
export type BenchmarkEvent = { job: BenchmarkJob; index: number; of: number } & (
  | { kind: 'kept' | 'begun' | 'done' }
  | { kind: 'step'; iteration: number; iterations: number }
  | { kind: 'failed'; reason: string }
);

/** What `runSuite` takes by name. */
export interface RunSuiteOptions {
  /** Where the runs go, `EXPERIMENT-SEED` each, and results.{json,md,png}. */
  folder: string;
  /** Trainings at a time; 1 by default. */
  jobs?: number;
  /**
   * Which of several processes this one is, each of which trains its share of the suite into the same folder
   * (the only one). Each writes the table of what is there as it ends: that of the last is whole.
   */
  shard?: Shard;
  /** Stops the running ones after their step, with everything saved. */
  signal?: AbortSignal;
  onEvent?: (event: BenchmarkEvent) => void;
}

/**
 * Trains every experiment of a suite from each seed, each in a process of its own, and writes the table.
 * What the folder holds is not trained again; what was stopped is gone on with. One that fails does not
 * stop the others: its reason stands in its row.
 *
 * @throws RunError M3L_BENCHMARK_STOPPED where `signal` was aborted: all is saved
 */
export async function runSuite(suite: Suite, options: RunSuiteOptions): Promise<BenchmarkReport> {
  checkArguments(
    'runSuite',
    { suite, options },
    {
      suite: is.shape('Suite', { seeds: is.list, experiments: is.list }),
      options: is.shape('options', { folder: is.text, shard: is.maybe(shardShape) }),
    },
  );
  const { folder, jobs = 1, signal, onEvent = () => {} } = options;
  const { rank, worldSize } = options.shard ?? { rank: 0, worldSize: 1 };
  const target = resolve(folder);
  makeFolder(target);
  const all = suite.experiments.flatMap((experiment) => experiment.jobs);
  const failures = new Map<BenchmarkJob, string>();
  const waiting = all
    .map((job, i) => ({ job, index: i + 1, of: all.length }))
    .filter((_, i) => i % worldSize === rank);
  const worker = async () => {
    for (let next = waiting.shift(); next && !signal?.aborted; next = waiting.shift()) {
      const path = pathOf(target, next.job);
      if (summaryOf(path, next.job) !== null) {
        onEvent({ ...next, kind: 'kept' });
        continue;
      }
      const place = next;
      onEvent({ ...place, kind: 'begun' });
      const ended = await trainApart(next.job, path, signal, (iteration, iterations) =>
        onEvent({ ...place, kind: 'step', iteration, iterations }),
      );
      if (ended.kind === 'failed') {
        failures.set(next.job, ended.reason);
        onEvent({ ...next, kind: 'failed', reason: ended.reason });
      }
      if (ended.kind === 'done') onEvent({ ...next, kind: 'done' });
    }
  };
  await Promise.all(Array.from({ length: jobs }, worker));
  const report = reportOf(suite, target, failures);
  writeFileAtomic(join(target, 'results.json'), `${JSON.stringify(report, null, 2)}\n`);
  writeFileAtomic(join(target, 'results.md'), `${benchmarkTable(report)}\n`);
  writeFileAtomic(join(target, 'results.png'), await drawBenchmark(report));
  if (signal?.aborted) {
    throw new RunError(
      'M3L_BENCHMARK_STOPPED',
      `Stopped; everything is saved. Go on with the same command and --out ${folder}`,
    );
  }
  return report;
}

function pathOf(folder: string, { experiment, seed }: BenchmarkJob): string {
  return join(folder, `${experiment}-${seed}`);
}

type Ended = Extract<RunnerMessage, { kind: 'done' | 'stopped' | 'failed' }>;

function trainApart(
  { file, sets }: BenchmarkJob,
  folder: string,
  signal: AbortSignal | undefined,
  onStep: (iteration: number, iterations: number) => void,
): Promise<Ended> {
  return new Promise((settle) => {
    const child = fork(RUNNER, [JSON.stringify({ file, sets, folder })], {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    let ended: Ended | null = null;
    let iterations = 0;
    let said = '';
    const stop = () => child.connected && child.send('stop');
    signal?.addEventListener('abort', stop);
    child.stderr!.on('data', (text: Buffer) => {
      said = (said + text.toString()).slice(-2000);
    });
    child.on('message', (message: RunnerMessage) => {
      if (message.kind === 'start') iterations = message.iterations;
      else if (message.kind === 'step') onStep(message.iteration, iterations);
      else ended = message;
    });
    child.on('close', (code, killed) => {
      signal?.removeEventListener('abort', stop);
      const last = said.trim().split('\n').at(-1) ?? '';
      const reason = `the process ended with ${killed ?? `exit code ${code}`}${last && `: ${last}`}`;
      settle(ended ?? { kind: 'failed', reason });
    });
  });
}

/** What a job's run came to, where it is finished. */
function summaryOf(path: string, { config }: BenchmarkJob): TrainSummary | null {
  if (!existsSync(join(path, 'config.yaml'))) return null;
  const run = RunFolder.open(path);
  // What the configuration leaves open the run has chosen.
  return finishedRun(run, config.iterations === undefined ? run.config() : config);
}

function reportOf(
  suite: Suite,
  folder: string,
  failures: ReadonlyMap<BenchmarkJob, string>,
): BenchmarkReport {
  const rows = suite.experiments.map(({ name, title, published, jobs }): BenchmarkRow => {
    const found = jobs.map((job) => summaryOf(pathOf(folder, job), job));
    const done = found.filter((summary) => summary !== null);
    const values = (of: (summary: TrainSummary) => number | null | undefined) => {
      const known = done.map(of).filter((value) => value !== null && value !== undefined);
      return known.length === 0 ? null : spread(known);
    };
    const all = ({ evaluation }: TrainSummary) =>
      headline(evaluation).cases.find(({ name: each }) => each === 'all')?.meanIoU;
    return {
      experiment: name,
      title,
      published,
      all: values(all),
      robust: values(({ evaluation }) => evaluation.robustMeanIoU),
      seconds: values(({ seconds }) => seconds)?.mean ?? null,
      failed: jobs.flatMap((job, i) =>
        found[i] === null ? [{ seed: job.seed, reason: failures.get(job) ?? 'not finished' }] : [],
      ),
    };
  });
  return { suite: suite.name, seeds: suite.seeds, rows };
}
