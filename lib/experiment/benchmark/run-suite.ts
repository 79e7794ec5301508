import { fork } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
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
import { Claims, LOOK_MS } from './claims.js';
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
  /** Stops the running ones after their step, with everything saved. */
  signal?: AbortSignal;
  onEvent?: (event: BenchmarkEvent) => void;
}

/**
 * Trains every experiment of a suite from each seed, each in a process of its own, and writes the table.
 * What the folder holds is not trained again; what was stopped is gone on with. One that fails does not
 * stop the others: its reason stands in its row. Several processes, on one machine or on several that reach the
 * folder, may do so at once: each training is taken by one of them, by another where that one is lost (at once on
 * its machine, after two minutes on others), and all wait for the last.
 *
 * @throws RunError M3L_BENCHMARK_STOPPED where `signal` was aborted: all is saved
 */
export async function runSuite(suite: Suite, options: RunSuiteOptions): Promise<BenchmarkReport> {
  checkArguments(
    'runSuite',
    { suite, options },
    {
      suite: is.shape('Suite', { seeds: is.list, experiments: is.list }),
      options: is.shape('options', { folder: is.text }),
    },
  );
  const { folder, jobs = 1, signal, onEvent = () => {} } = options;
  const target = resolve(folder);
  makeFolder(target);
  const claims = new Claims(target);
  const all = suite.experiments.flatMap((experiment) => experiment.jobs);
  const failures = new Map<BenchmarkJob, string>();
  const open = new Set(all.map((job, i) => ({ job, index: i + 1, of: all.length })));
  /** Ends a job that is over, whoever has trained it. */
  const isOver = (place: Place): boolean => {
    const { job } = place;
    const reason = claims.failure(nameOf(job));
    if (reason !== null) failures.set(job, reason);
    else if (summaryOf(pathOf(target, job), job) === null) return false;
    if (open.delete(place))
      onEvent(reason === null ? { ...place, kind: 'kept' } : { ...place, kind: 'failed', reason });
    return true;
  };
  const train = async (place: Place) => {
    const { job } = place;
    const path = pathOf(target, job);
    await claims.untilLeft(path, signal);
    if (signal?.aborted || isOver(place)) return;
    open.delete(place);
    onEvent({ ...place, kind: 'begun' });
    const ended = await trainApart(job, path, signal, (iteration, iterations) =>
      onEvent({ ...place, kind: 'step', iteration, iterations }),
    );
    if (ended.kind === 'failed') {
      failures.set(job, ended.reason);
      claims.fail(nameOf(job), ended.reason);
      onEvent({ ...place, kind: 'failed', reason: ended.reason });
    }
    if (ended.kind === 'done') onEvent({ ...place, kind: 'done' });
  };
  const worker = async () => {
    while (open.size > 0 && !signal?.aborted) {
      let trained = false;
      for (const place of [...open]) {
        if (signal?.aborted || !open.has(place) || isOver(place)) continue;
        const release = claims.take(nameOf(place.job));
        if (release === null) continue;
        try {
          await train(place);
        } finally {
          release();
        }
        trained = true;
      }
      if (!trained && open.size > 0) await pause(LOOK_MS);
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

/** A job, and which of how many it is. */
interface Place {
  job: BenchmarkJob;
  index: number;
  of: number;
}

function nameOf({ experiment, seed }: BenchmarkJob): string {
  return `${experiment}-${seed}`;
}

function pathOf(folder: string, job: BenchmarkJob): string {
  return join(folder, nameOf(job));
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
