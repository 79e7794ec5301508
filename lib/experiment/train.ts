import { frameworkNamed, type Networks, type StepReport, type Trainer } from '../learning/index.js';
import type { SegmentationModel } from '../models/index.js';
import { writeFileAtomic } from '../torch/atomic-write.js';
import { checkArguments } from '../torch/check-arguments.js';
import type { distributed } from '../torch/index.js';
import * as torch from '../torch/index.js';
import { beforeTraining } from './before-training.js';
import {
  checkSameModel,
  findCheckpoint,
  loadCheckpoint,
  orReadError,
  recordScore,
  saveCheckpoint,
} from './checkpoint.js';
import { bestIn, trainingFacts } from './checkpoint-facts.js';
import type { Config, SettledConfig } from './config/config.js';
import { createTrainer } from './create-trainer.js';
import type { Datasets } from './datasets.js';
import { Interrupted, RunError } from './errors.js';
import { drawSamples, type EvaluationReport, evaluateNetworks } from './evaluate.js';
import { type HealthMeans, HealthWatch } from './health.js';
import { RunLogging } from './logging/run-logging.js';
import type { MetricsLine } from './metrics.js';
import { disposeNetworks, headlineOf } from './networks.js';
import { anywhere, fromFirst, isFirst, peersIn, shareState } from './processes.js';
import { rescue } from './rescue.js';
import { trainOptionsShape } from './rules.js';
import type { RunFolder } from './run-folder.js';

/**
 * What happens while training, for a progress bar or a log. `iteration`s are those done; `memory` is what
 * the device has allocated, or on the CPU what the process holds, in bytes.
 */
export type TrainEvent =
  | { kind: 'note'; text: string }
  | { kind: 'checking'; done: number; scenes: number }
  | { kind: 'start'; iteration: number; iterations: number; device: string }
  | { kind: 'step'; iteration: number; loss: number; imagesPerSecond: number; memory: number }
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
  /**
   * The processes that train together (none): each calls `train`, and the first of them alone looks at the
   * data, reads and writes `run`, which elsewhere is `RunFolder.elsewhere`. The batch sizes are those of all.
   */
  group?: distributed.ProcessGroup | undefined;
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
 * Several processes give what one would, up to rounding and to what dropout and drop-path draw.
 *
 * @throws Interrupted where `signal` was aborted; everything is saved by then
 * @throws CheckpointError M3L_CHECKPOINT_WRITE where saving fails; earlier checkpoints stay
 * @throws RunError M3L_RUN_EXISTS, M3L_RUN_LOCKED, M3L_RUN_WRITE; M3L_BATCH_PROCESSES, M3L_RANK_FAILED
 */
export async function train(options: TrainOptions): Promise<TrainSummary> {
  checkArguments('train', { options }, { options: trainOptionsShape });

  const { run, resume = false, onEvent = () => {} } = options;
  const writes = isFirst(options.group ?? null);
  const { config, datasets, networks } = await beforeTraining(options, onEvent);
  try {
    const unlock = writes ? run.lock() : () => {};
    try {
      if (writes) {
        // What is stored may be opened where the device is another.
        const stored = { ...config, device: options.config.device };
        if (resume) run.storeConfig(stored);
        else run.begin(stored);
        run.removeLeftovers();
      }
      const logging = new RunLogging(config, run.path, (text) => onEvent({ kind: 'note', text }));
      return await logging.during(() =>
        trainNetworks({ ...options, config }, datasets, networks, logging, onEvent),
      );
    } finally {
      unlock();
    }
  } finally {
    disposeNetworks(networks);
    await datasets.close();
  }
}

async function trainNetworks(
  { config, run, resume = false, group: given, signal }: TrainOptions & { config: SettledConfig },
  datasets: Datasets,
  networks: Networks,
  logging: RunLogging,
  onEvent: (event: TrainEvent) => void,
): Promise<TrainSummary> {
  const { iterations, evaluate, checkpoint } = config;
  const group = given ?? null;
  const peers = peersIn(group);
  const writes = isFirst(group);
  const { trainer, dispose } = createTrainer(config, networks, datasets, peers);
  try {
    // The log, which may be long, is for the first process alone, which writes and tells.
    let earlier: readonly MetricsLine[] = [];
    const begun = await fromFirst(group, () => {
      const { earlier: own, ...rest } = begin(run, config, trainer, resume, onEvent);
      earlier = own;
      return rest;
    });
    shareState(group, trainer);
    const { resumed } = begun;
    let { report, best } = begun;
    if (writes) logging.open({ iteration: resumed, earlier, classes: datasets.classes });
    const log = (line: MetricsLine) => {
      if (!writes) return;
      run.log(line);
      logging.log(line);
    };
    let saved = resumed;
    const saveNow = () => {
      if (writes) {
        const path = save(run, config, trainer, report);
        onEvent({ kind: 'checkpoint', path });
      }
      saved = trainer.iteration;
    };
    const aborted = () => anywhere(group, signal?.aborted ?? false);
    const speed = new Speed(config);
    const watch = new HealthWatch(datasets.classes, iterations, earlier);
    onEvent({ kind: 'start', iteration: resumed, iterations, device: config.device });

    try {
      for (;;) {
        const done = trainer.iteration;
        // A run that was stopped between its last step and its evaluation makes up for it here.
        const evaluates = due(done, evaluate.every, iterations) && report?.iteration !== done;
        if (evaluates && !aborted()) {
          report = await unlessAborted(signal, () =>
            evaluateNetworks({
              config,
              networks,
              datasets,
              iteration: done,
              peers,
              signal,
              onProgress: (images, of) => onEvent({ kind: 'evaluating', done: images, images: of }),
            }),
          );
          if (report !== null) {
            log({ kind: 'evaluation', ...report });
            onEvent({ kind: 'evaluation', report });
            if (logging.takesPictures && done < iterations) {
              logging.picture(done, await drawSamples({ config, networks, datasets }));
            }
          }
        }
        const score = scoreAt(done, report);
        const improved = score !== null && (best === null || score > best);
        if (improved) best = score;
        const stop = aborted();
        if (done > saved) {
          if (improved || stop || due(done, checkpoint.every, iterations)) saveNow();
        } else if (score !== null && writes) {
          recordScore(findCheckpoint(run.checkpoints, 'latest')!, score);
        }
        if (stop) throw new Interrupted(run.path, done);
        if (done >= iterations) break;

        const step = await trainer.step();
        const memory = memoryOn(config.device);
        log({ ...metricsOf(step), memory });
        const imagesPerSecond = speed.after(step);
        const { loss } = step;
        onEvent({ kind: 'step', iteration: done + 1, loss, imagesPerSecond, memory });
        const health = watch.after(step);
        if (health === null) continue;
        log({ kind: 'health', iteration: done + 1, ...health.means });
        onEvent({ kind: 'health', iteration: done + 1, means: health.means });
        for (const text of health.notes) onEvent({ kind: 'note', text });
      }
    } catch (error) {
      throw writes ? rescue(error, { run, trainer, saved, save: saveNow }) : error;
    }

    if (report === null) throw new RunError('M3L_NO_EVALUATION', `${run.path} was not evaluated.`);
    const samples = writes ? await drawSamples({ config, networks, datasets }) : null;
    if (samples !== null) writeFileAtomic(run.samplesFile, samples);
    logging.picture(iterations, samples);
    const summary: TrainSummary = {
      run: run.path,
      framework: config.framework.name,
      iterations,
      device: config.device,
      parameters: parameterCount(networks[headlineOf(config)]!),
      seconds: writes ? history(run.metrics()).seconds : 0,
      evaluation: report,
      samples: samples && run.samplesFile,
    };
    if (writes) run.writeSummary({ ...summary });
    return summary;
  } finally {
    dispose();
  }
}

/** Where the training begins, and what the run knows already. */
function begin(
  run: RunFolder,
  config: Config,
  trainer: Trainer,
  resume: boolean,
  onEvent: (event: TrainEvent) => void,
) {
  const resumed = resume ? restore(run, config, trainer, onEvent) : 0;
  run.truncateMetrics(resumed);
  const earlier = run.metrics();
  const report: EvaluationReport | null = history(earlier).reports.at(-1) ?? null;
  const best: number | null = bestIn(run.checkpoints)?.score ?? null;
  return { resumed, earlier, report, best };
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
    if (kindOf(found.device) !== kindOf(config.device)) {
      const text = `Trained on ${found.device} until now, goes on on ${config.device}: not bit for bit as in one go.`;
      onEvent({ kind: 'note', text });
    }
    orReadError(path, () => trainer.loadState({ tensors, meta: trainingFacts(facts) }));
  });
  return trainer.iteration;
}

function kindOf(device: string): string {
  return device.split(':')[0]!;
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
    if (signal?.aborted || (error as { code?: string }).code === 'M3L_EVALUATION_STOPPED')
      return null;
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

/** Bytes that the process, or on a GPU its tensors, have. */
function memoryOn(device: string): number {
  // The allocator's own count: `cuda.memory` asks the driver too.
  return device === 'cpu'
    ? process.memoryUsage.rss()
    : torch.cuda.memoryStats(device)['allocatedBytes.current']!;
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
