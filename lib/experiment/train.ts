import { existsSync } from 'node:fs';
import {
  createFramework,
  frameworkNamed,
  type Networks,
  type StepReport,
  Trainer,
  trainableGroups,
} from '../learning/index.js';
import type { SegmentationModel } from '../models/index.js';
import { AdamW, PolySchedule, SGD } from '../optim/index.js';
import { checkArguments } from '../torch/check-arguments.js';
import * as torch from '../torch/index.js';
import { requireUsableData } from './check/require-usable.js';
import {
  checkSameModel,
  findCheckpoint,
  loadCheckpoint,
  orReadError,
  recordScore,
  saveCheckpoint,
} from './checkpoint.js';
import { bestIn, trainingFacts } from './checkpoint-facts.js';
import { choicesText } from './choices-text.js';
import { classNames } from './classes.js';
import type { Config, SettledConfig } from './config/config.js';
import { completed } from './config/follow-data.js';
import { type Datasets, openDatasets } from './datasets.js';
import { Interrupted, RunError } from './errors.js';
import { type EvaluationReport, evaluateNetworks, writeSamples } from './evaluate.js';
import { type HealthMeans, HealthWatch } from './health.js';
import { measureModalities } from './measure.js';
import type { MetricsLine } from './metrics.js';
import { createNetworks, disposeNetworks, headlineOf, prepareTorch } from './networks.js';
import { rescue } from './rescue.js';
import { trainOptionsShape } from './rules.js';
import type { RunFolder } from './run-folder.js';
import { settle } from './settle.js';
import { weighClasses } from './weigh-classes.js';

/** What happens while training, for a progress bar or a log. `iteration`s are those done. */
export type TrainEvent =
  | { kind: 'note'; text: string }
  | { kind: 'checking'; done: number; scenes: number }
  | { kind: 'start'; iteration: number; iterations: number }
  | { kind: 'step'; iteration: number; loss: number; imagesPerSecond: number }
  | { kind: 'health'; iteration: number; means: HealthMeans }
  | { kind: 'evaluating'; done: number; images: number }
  | { kind: 'evaluation'; report: EvaluationReport }
  | { kind: 'checkpoint'; path: string };

/** What `train` takes by name. */
export interface TrainOptions {
  /** What it leaves open is chosen by the data (`followData`), or as a run has it that goes on. */
  config: Config;
  run: RunFolder;
  /** Go on from the run's latest checkpoint (from the start where it has none). */
  resume?: boolean;
  /** Look at all data first (true): see `checkData`. */
  check?: boolean;
  /** Ends training after the running step, with everything saved. */
  signal?: AbortSignal;
  onEvent?: (event: TrainEvent) => void;
}

/** What a finished run came to; also in its summary.json. */
export interface TrainSummary {
  run: string;
  framework: string;
  iterations: number;
  /** Where it was trained last. */
  device: string;
  /** Of one network. */
  parameters: number;
  /** Time in training steps, over all sessions of the run. */
  seconds: number;
  evaluation: EvaluationReport;
  /** The contact sheet; null where none was asked for. */
  samples: string | null;
}

/**
 * Trains as a configuration says, evaluating and saving on the way. A run that was stopped or
 * killed and then resumed gives the same weights as one in one go.
 *
 * The run folder is written to only when all that can fail early has been checked. An error after
 * that leaves a checkpoint of the last step, and says so.
 *
 * @throws Interrupted where `signal` was aborted; everything is saved by then
 * @throws CheckpointError M3L_CHECKPOINT_WRITE where saving fails; earlier checkpoints stay
 * @throws RunError M3L_RUN_EXISTS, M3L_RUN_LOCKED, M3L_RUN_WRITE
 */
export async function train(options: TrainOptions): Promise<TrainSummary> {
  checkArguments('train', { options }, { options: trainOptionsShape });

  const { run, resume = false, onEvent = () => {} } = options;
  const { config, datasets, networks } = await beforeTraining(options, onEvent);
  try {
    const unlock = run.lock();
    try {
      // What is stored may be opened where the device is another.
      const stored = { ...config, device: options.config.device };
      if (resume) run.storeConfig(stored);
      else run.begin(stored);
      run.removeLeftovers();
      return await trainNetworks({ ...options, config }, datasets, networks, onEvent);
    } finally {
      unlock();
    }
  } finally {
    disposeNetworks(networks);
    await datasets.close();
  }
}

/** All that can fail early does so here: nothing is written yet. */
async function beforeTraining(
  options: TrainOptions,
  onEvent: (event: TrainEvent) => void,
): Promise<{ config: SettledConfig; datasets: Datasets; networks: Networks }> {
  const onNote = (text: string) => onEvent({ kind: 'note', text });
  const placed = prepareTorch(options.config, onNote);
  requireGraphs(placed);
  const { resume = false, run, signal } = options;
  const own = resume && existsSync(run.configFile) ? run.config() : null;
  const settled = own
    ? { config: completed(placed, own), chosen: [] }
    : await settle(placed, onNote);
  let networks: Networks = {};
  try {
    // Before the data, which takes longest: the weights to start from may not be there.
    const start = startOf({ ...options, config: settled.config });
    networks = createNetworks(start, classNames(start).length, onNote);
    if (options.check !== false) {
      await requireUsableData({
        config: settled.config,
        onNote,
        onProgress: (done, scenes) => onEvent({ kind: 'checking', done, scenes }),
        signal,
      });
    }
    const measured = own ? settled : await measureModalities(settled.config, { signal });
    const { config, chosen } = await weighClasses(measured.config, { signal });
    const all = [...settled.chosen, ...(own ? [] : measured.chosen), ...chosen];
    if (all.length > 0) onNote(choicesText(all));
    return { config, datasets: await openDatasets(config, onNote), networks };
  } catch (error) {
    disposeNetworks(networks);
    throw error;
  }
}

/** Weights to start from are not looked for where those of a checkpoint take their place. */
function startOf({ config, run, resume = false }: TrainOptions): Config {
  if (!resume || findCheckpoint(run.checkpoints, 'latest') === null) return config;
  return { ...config, initialise: undefined, model: { ...config.model, pretrained: undefined } };
}

/** Before anything takes time; evaluation and prediction need no graphs, on whichever device. */
function requireGraphs({ cudaGraph, device }: Config): void {
  if (!cudaGraph || device.startsWith('cuda')) return;
  throw new RunError(
    'M3L_CUDA_GRAPH',
    `cudaGraph is true and device is '${device}': expected a CUDA device. Use --set device=cuda, or ` +
      '--set cudaGraph=false.',
  );
}

async function trainNetworks(
  { config, run, resume = false, signal }: TrainOptions & { config: SettledConfig },
  datasets: Datasets,
  networks: Networks,
  onEvent: (event: TrainEvent) => void,
): Promise<TrainSummary> {
  const { iterations, evaluate, checkpoint } = config;
  const { trainer, dispose } = createTrainer(config, networks, datasets);
  try {
    const resumed = resume ? restore(run, config, trainer, onEvent) : 0;
    run.truncateMetrics(resumed);
    const log = run.metrics();
    const { reports } = history(log);
    let report = reports.at(-1) ?? null;
    let best = bestIn(run.checkpoints)?.score ?? null;
    let saved = resumed;
    const saveNow = () => {
      const path = save(run, config, trainer, report);
      saved = trainer.iteration;
      onEvent({ kind: 'checkpoint', path });
    };
    const speed = new Speed(config);
    const watch = new HealthWatch(datasets.classes, iterations, log);
    onEvent({ kind: 'start', iteration: resumed, iterations });

    try {
      for (;;) {
        const done = trainer.iteration;
        // A run that was stopped between its last step and its evaluation makes up for it here.
        const evaluates = due(done, evaluate.every, iterations) && report?.iteration !== done;
        if (evaluates && !signal?.aborted) {
          report = await unlessAborted(signal, () =>
            evaluateNetworks({
              config,
              networks,
              datasets,
              iteration: done,
              signal,
              onProgress: (images, of) => onEvent({ kind: 'evaluating', done: images, images: of }),
            }),
          );
          if (report !== null) {
            run.log({ kind: 'evaluation', ...report });
            onEvent({ kind: 'evaluation', report });
          }
        }
        const score = scoreAt(done, report);
        const improved = score !== null && (best === null || score > best);
        if (improved) best = score;
        const stop = signal?.aborted ?? false;
        if (done > saved) {
          if (improved || stop || due(done, checkpoint.every, iterations)) saveNow();
        } else if (score !== null) {
          recordScore(findCheckpoint(run.checkpoints, 'latest')!, score);
        }
        if (stop) throw new Interrupted(run.path, done);
        if (done >= iterations) break;

        const step = await trainer.step();
        run.log(metricsOf(step));
        const imagesPerSecond = speed.after(step);
        onEvent({ kind: 'step', iteration: done + 1, loss: step.loss, imagesPerSecond });
        const health = watch.after(step);
        if (health === null) continue;
        run.log({ kind: 'health', iteration: done + 1, ...health.means });
        onEvent({ kind: 'health', iteration: done + 1, means: health.means });
        for (const text of health.notes) onEvent({ kind: 'note', text });
      }
    } catch (error) {
      throw rescue(error, { run, trainer, saved, save: saveNow });
    }

    if (report === null) throw new RunError('M3L_NO_EVALUATION', `${run.path} was not evaluated.`);
    const summary: TrainSummary = {
      run: run.path,
      framework: config.framework.name,
      iterations,
      device: config.device,
      parameters: parameterCount(networks[headlineOf(config)]!),
      seconds: history(run.metrics()).seconds,
      evaluation: report,
      samples: await writeSamples({ config, networks, datasets, path: run.samplesFile }),
    };
    run.writeSummary({ ...summary });
    return summary;
  } finally {
    dispose();
  }
}

function createTrainer(config: SettledConfig, networks: Networks, datasets: Datasets) {
  const { framework: learning, optimiser, schedule, iterations, seed, device, cudaGraph } = config;
  const framework = createFramework(learning.name, {
    networks,
    modalities: datasets.specs,
    options: learning,
    seed,
    iterations,
  });
  const groups = trainableGroups(framework, optimiser);
  const optimizer =
    optimiser.name === 'adamw' ? new AdamW(groups) : new SGD(groups, { momentum: 0.9 });
  const trainer = new Trainer({
    framework,
    optimizer,
    schedule:
      schedule.name === 'poly'
        ? new PolySchedule({ total: iterations, power: schedule.power, warmup: schedule.warmup })
        : new PolySchedule({ total: iterations, power: 0, warmup: schedule.warmup }),
    source: (iteration) => datasets.batch(iteration),
    ...(device === 'cpu' ? {} : { prepare: (iteration) => datasets.prepare(iteration) }),
    iterations,
    seed,
    device,
    execution: cudaGraph ? 'captured' : 'eager',
    clipGradientNorm: optimiser.clipGradientNorm,
  });
  const dispose = () => {
    trainer.dispose();
    optimizer.dispose();
  };
  return { trainer, dispose };
}

/** Loads the latest checkpoint; returns how many iterations it is from. */
function restore(
  run: RunFolder,
  config: Config,
  trainer: Trainer,
  onEvent: (event: TrainEvent) => void,
): number {
  const path = findCheckpoint(run.checkpoints, 'latest');
  if (path === null) return 0;
  torch.scope(() => {
    const { config: found, tensors, ...facts } = loadCheckpoint(path);
    checkSameModel(path, found, config);
    if (found.device !== config.device) {
      const text = `Trained on ${found.device} until now, goes on on ${config.device}: not bit for bit as in one go.`;
      onEvent({ kind: 'note', text });
    }
    orReadError(path, () => trainer.loadState({ tensors, meta: trainingFacts(facts) }));
  });
  return trainer.iteration;
}

function save(
  run: RunFolder,
  config: Config,
  trainer: Trainer,
  report: EvaluationReport | null,
): string {
  return torch.scope(() => {
    const { tensors, meta } = trainer.state();
    const iteration = trainer.iteration;
    return saveCheckpoint(
      run.checkpoints,
      { iteration, config, tensors, meta, score: scoreAt(iteration, report) },
      { keep: config.checkpoint.keep },
    );
  });
}

function due(done: number, every: number, total: number): boolean {
  return done >= total || (done > 0 && every > 0 && done % every === 0);
}

async function unlessAborted<Result>(
  signal: AbortSignal | undefined,
  work: () => Promise<Result>,
): Promise<Result | null> {
  try {
    return await work();
  } catch (error) {
    if (signal?.aborted) return null;
    throw error;
  }
}

function scoreAt(iteration: number, report: EvaluationReport | null): number | null {
  return report?.iteration === iteration ? report.robustMeanIoU : null;
}

function metricsOf(report: StepReport) {
  const { iteration, masked: _, health: __, waitSeconds, seconds, ...step } = report;
  return { kind: 'train' as const, iteration: iteration + 1, ...step, seconds, waitSeconds };
}

/** The evaluations that a run's log holds, and the time its steps took. */
function history(log: readonly MetricsLine[]): { reports: EvaluationReport[]; seconds: number } {
  const reports: EvaluationReport[] = [];
  let seconds = 0;
  for (const line of log) {
    if (line.kind === 'train') seconds += Number(line.seconds ?? 0) + Number(line.waitSeconds ?? 0);
    else if (line.kind === 'evaluation') {
      const { kind: _, ...report } = line;
      reports.push(report as unknown as EvaluationReport);
    }
  }
  return { reports, seconds };
}

function parameterCount(network: SegmentationModel): number {
  return network
    .parameters()
    .reduce((total, { shape }) => total + shape.reduce((product, size) => product * size, 1), 0);
}

/** Images a second, a moving average over about ten steps. */
class Speed {
  #seconds: number | null = null;
  readonly #images: number;

  constructor({ batch, framework }: SettledConfig) {
    const { needsUnlabelled } = frameworkNamed(framework.name);
    this.#images = batch.labelled + (needsUnlabelled ? batch.unlabelled : 0);
  }

  after({ seconds, waitSeconds }: StepReport): number {
    const took = seconds + waitSeconds;
    this.#seconds = this.#seconds === null ? took : 0.9 * this.#seconds + 0.1 * took;
    return this.#images / this.#seconds;
  }
}
