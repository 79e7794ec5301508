import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type FrameworkName, frameworkNames, frameworks } from '../learning/index.js';
import { FILLS, type Fill } from '../models/index.js';
import { makeFolder, writeFileAtomic } from '../torch/atomic-write.js';
import { checkArguments } from '../torch/check-arguments.js';
import { type ComparedRun, type Comparison, compareRuns, type RunScore } from './comparison.js';
import { optionsOfOthers } from './config/choice.js';
import { type Config, frameworkKeys, resolveConfig } from './config/config.js';
import { ConfigError, Interrupted, RunError, reasonOf } from './errors.js';
import { type EvaluationReport, evaluateRun, headline } from './evaluate.js';
import { finishedRun, readIfWhole } from './finished-run.js';
import { nearest } from './nearest.js';
import { resumeConfig } from './resume.js';
import { compareOptionsShape } from './rules.js';
import { RunFolder } from './run-folder.js';
import { type TrainEvent, type TrainSummary, train } from './train.js';

/** One training of a comparison, and which of them it is (from 1). */
export interface CompareJob {
  framework: FrameworkName;
  seed: number;
  index: number;
  of: number;
  /** What of the configuration file is overridden for it. */
  sets: readonly string[];
  config: Config;
}

/** What happens while frameworks are compared, for a progress bar or a log. */
export type CompareEvent = { job: CompareJob } & (
  | { kind: 'run'; state: 'new' | 'resumed' | 'finished' }
  | { kind: 'training'; event: TrainEvent }
  | { kind: 'evaluating'; fill: Fill; done: number; images: number }
  | { kind: 'result'; result: ComparedRun }
);

/** What `compareFrameworks` takes by name. */
export interface CompareOptions {
  /** Configuration file. Its framework, seed and, if it is not among `fills`, fill are replaced. */
  config: string;
  /** Baselines first: gains are told of each framework over those before it. */
  frameworks: readonly FrameworkName[];
  seeds: readonly number[];
  /** What is tried for a missing modality in a model without mask token (all there are). */
  fills?: readonly Fill[] | undefined;
  /** `key=value` overrides of the configuration. */
  sets?: readonly string[];
  /**
   * Where the runs go, `FRAMEWORK-SEED` each, and `comparison.json`. Runs that it holds are not trained
   * again: finished ones are taken as they are, others gone on with.
   */
  folder: string;
  /** Ends it after the running step, with everything saved. */
  signal?: AbortSignal;
  onEvent?: (event: CompareEvent) => void;
}

/**
 * Trains frameworks on one configuration from the same seeds and compares their robust mIoU; a model
 * without mask token is evaluated with each fill. An option that only some of the frameworks have
 * (`framework.KEY`) is theirs alone.
 *
 * @throws ConfigError of the configuration; M3L_COMPARE_FRAMEWORK, M3L_COMPARE_SEED, M3L_COMPARE_FILL
 * @throws RunError M3L_COMPARE_FOLDER, M3L_RESUME_CONFIG where the folder holds something else: both
 *   before anything is trained
 * @throws Interrupted where `signal` was aborted; everything is saved by then
 */
export async function compareFrameworks(options: CompareOptions): Promise<Comparison> {
  checkArguments('compareFrameworks', { options }, { options: compareOptionsShape });

  const { signal, onEvent = () => {} } = options;
  checkOptions(options);
  const { fills = FILLS } = options;
  const fill = fillOf(options, fills);
  const jobs = jobsOf(options, fill);
  const folder = openFolder(options.folder);
  const runs = jobs.map((job) => openRun(folder, job));

  const results: ComparedRun[] = [];
  const checked = new Set<string>();
  for (const [index, job] of jobs.entries()) {
    const { run, config, state } = runs[index]!;
    onEvent({ kind: 'run', job, state });
    try {
      signal?.throwIfAborted();
      const summary =
        finishedRun(run, config) ??
        (await train({
          config,
          run: run ?? RunFolder.create(config, pathOf(folder, job)),
          resume: run !== null,
          check: !checked.has(job.framework),
          ...(signal === undefined ? {} : { signal }),
          onEvent: (event) => onEvent({ kind: 'training', job, event }),
        }));
      checked.add(job.framework);
      const reports = await reportsOf(summary, fills, { job, signal, onEvent });
      const result: ComparedRun = {
        framework: job.framework,
        seed: job.seed,
        run: summary.run,
        scores: reports.map(scoreOf),
        samples: summary.samples,
        seconds: summary.seconds,
      };
      results.push(result);
      onEvent({ kind: 'result', job, result });
    } catch (error) {
      if (!signal?.aborted) throw error;
      const iteration = error instanceof Interrupted ? error.iteration : (config.iterations ?? 0);
      throw new Interrupted(
        pathOf(folder, job),
        iteration,
        `the same command with --out ${folder}`,
      );
    }
  }
  const inOrder = options.frameworks.flatMap((name) =>
    results.filter(({ framework }) => framework === name),
  );
  const comparison = compareRuns(inOrder, fill);
  writeFileAtomic(join(folder, 'comparison.json'), `${JSON.stringify(comparison, null, 2)}\n`);
  return comparison;
}

function checkOptions({ frameworks: compared, seeds, fills = FILLS }: CompareOptions): void {
  checkWords('FRAMEWORK', 'framework', compared, frameworkNames);
  checkWords('FILL', 'fill', fills, FILLS);
  const wrong = seeds.find(
    (seed, at) => !Number.isInteger(seed) || seed < 0 || seeds.indexOf(seed) < at,
  );
  if (seeds.length > 0 && wrong === undefined) return;
  throw new ConfigError(
    'M3L_COMPARE_SEED',
    `the seeds are [${seeds.join(', ')}]: expected at least one, whole numbers from 0, none twice.`,
  );
}

/** The configuration's own fill where it is among those that are tried. */
function fillOf(options: CompareOptions, fills: readonly Fill[]): Fill {
  const { config, sets = [] } = options;
  const first = options.frameworks[0]!;
  const all = [...sets, ...withoutOthers(options, first), `framework.name=${first}`];
  const own = resolveConfig(config, all).evaluate.fill;
  return fills.includes(own) ? own : fills[0]!;
}

/** Overrides that take away the options that only others of the compared frameworks have. */
function withoutOthers(
  { config, frameworks: compared, sets }: CompareOptions,
  framework: FrameworkName,
): string[] {
  const keys = frameworkKeys(config, sets);
  return optionsOfOthers(keys, framework, compared, frameworks).map(
    (key) => `framework.${key}=null`,
  );
}

/** Seed by seed, so that a comparison that is not finished has all frameworks of some seeds. */
function jobsOf(options: CompareOptions, fill: Fill): CompareJob[] {
  const { config, frameworks: compared, seeds, sets = [] } = options;
  const of = seeds.length * compared.length;
  return seeds.flatMap((seed, row) =>
    compared.map((framework, column) => {
      const own = [`framework.name=${framework}`, `seed=${seed}`, `evaluate.fill=${fill}`];
      const index = row * compared.length + column + 1;
      const all = [...sets, ...withoutOthers(options, framework), ...own];
      return { framework, seed, index, of, sets: all, config: resolveConfig(config, all) };
    }),
  );
}

function checkWords(
  code: string,
  what: string,
  found: readonly string[],
  known: readonly string[],
): void {
  const wrong = found.find((word, at) => !known.includes(word) || found.indexOf(word) < at);
  if (wrong === undefined && found.length > 0) return;
  const near = wrong === undefined ? null : nearest(wrong, known);
  const problem =
    wrong === undefined
      ? `no ${what} is given: expected some of`
      : known.includes(wrong)
        ? `${what} '${wrong}' is given twice: expected each once, of`
        : `${what} '${wrong}' does not exist: expected some of`;
  throw new ConfigError(
    `M3L_COMPARE_${code}`,
    `${problem} ${known.join(', ')}.${near === null || near === wrong ? '' : ` Did you mean '${near}'?`}`,
  );
}

function openFolder(path: string): string {
  const folder = resolve(path);
  if (existsSync(join(folder, 'config.yaml'))) {
    throw new RunError(
      'M3L_COMPARE_FOLDER',
      `${folder} is a single run: expected a folder for the runs of a comparison. Give another --out.`,
    );
  }
  try {
    makeFolder(folder);
  } catch (error) {
    throw new RunError(
      'M3L_COMPARE_FOLDER',
      `${folder} cannot be made: ${reasonOf(error)}. Give another --out.`,
    );
  }
  return folder;
}

function pathOf(folder: string, { framework, seed }: CompareJob): string {
  return join(folder, `${framework}-${seed}`);
}

/** The run that the folder holds already, if any, and the configuration to train with. */
function openRun(folder: string, job: CompareJob) {
  const path = pathOf(folder, job);
  if (!existsSync(join(path, 'config.yaml'))) {
    return { run: null, config: job.config, state: 'new' as const };
  }
  const run = RunFolder.open(path);
  const { config } = resumeConfig(run, job.config);
  const { subsets } = run.config().evaluate;
  if (subsets !== config.evaluate.subsets) {
    throw new RunError(
      'M3L_RESUME_CONFIG',
      `${run.path} was evaluated with evaluate.subsets ${subsets}, ${config.evaluate.subsets} is asked for: its cases would differ. Leave that as it was, or give another --out.`,
    );
  }
  const state = finishedRun(run, config) === null ? ('resumed' as const) : ('finished' as const);
  return { run, config, state };
}

/** The run's own report, and those of the other fills where it has no mask token. */
async function reportsOf(
  { run: path, evaluation }: TrainSummary,
  fills: readonly Fill[],
  {
    job,
    signal,
    onEvent,
  }: {
    job: CompareJob;
    signal: AbortSignal | undefined;
    onEvent: (event: CompareEvent) => void;
  },
): Promise<EvaluationReport[]> {
  if (evaluation.fill === null) return [evaluation];
  const file = join(path, 'fills.json');
  const kept = (readIfWhole(file) ?? []) as EvaluationReport[];
  const known = [evaluation, ...kept.filter(({ iteration }) => iteration === evaluation.iteration)];
  const reports: EvaluationReport[] = [];
  for (const fill of fills) {
    let report = known.find((one) => one.fill === fill);
    if (report === undefined) {
      report = await evaluateRun(RunFolder.open(path), {
        fill,
        sets: job.sets,
        ...(signal === undefined ? {} : { signal }),
        onProgress: (done, images) => onEvent({ kind: 'evaluating', job, fill, done, images }),
      });
      known.push(report);
      writeFileAtomic(file, `${JSON.stringify(known.slice(1), null, 2)}\n`);
    }
    reports.push(report);
  }
  return reports;
}

function scoreOf(report: EvaluationReport): RunScore {
  const cases = headline(report).cases.map(({ name, meanIoU }) => ({ name, meanIoU }));
  return { fill: report.fill, robustMeanIoU: report.robustMeanIoU!, cases };
}
