import {
  contactSheet,
  EvaluationError,
  evaluateRobust,
  type HeadResult,
  type MissingProtocol,
  type RobustResult,
  viewsOf,
} from '../evaluation/index.js';
import { robustResultShape } from '../evaluation/rules.js';
import type { Networks, Peers } from '../learning/index.js';
import { ALONE } from '../learning/peers.js';
import type { Fill } from '../models/index.js';
import { checkArguments } from '../torch/check-arguments.js';
import * as is from '../torch/rules.js';
import { findCheckpoint } from './checkpoint.js';
import { paletteOf } from './classes.js';
import type { Config } from './config/config.js';
import { type Datasets, openDatasets } from './datasets.js';
import { asksForDevice } from './device.js';
import { CheckpointError } from './errors.js';
import type { EvaluationSplit } from './evaluation-splits.js';
import { meant, nearest } from './nearest.js';
import { answering, disposeNetworks, loadNetworks, prepareTorch } from './networks.js';
import { evaluateNetworksOptionsShape, runFolderShape } from './rules.js';
import type { RunFolder } from './run-folder.js';
import { sizingOf } from './sizing.js';

/** What an evaluation of a run found; plain JSON. */
export interface EvaluationReport extends RobustResult {
  framework: string;
  /** Folder of the checkpoint, or the file of others' weights; null while training. */
  checkpoint: string | null;
  /** The list that was evaluated; absent: `val`. */
  split?: EvaluationSplit;
  /** Iterations trained. */
  iteration: number;
  classes: string[];
}

/** The head that stands for the whole: the ensemble of the first model, which is the headline's. */
export function headline(report: RobustResult): HeadResult {
  checkArguments('headline', { report }, { report: robustResultShape });

  const { heads } = report.models[0]!;
  return heads.find(({ head }) => head === 'ensemble') ?? heads[0]!;
}

/** What `evaluateRun` takes by name. */
export interface EvaluateRunOptions {
  /** Evaluate only with these modalities missing, all at once. */
  missing?: readonly string[] | undefined;
  /** The list to evaluate (`val`). */
  split?: EvaluationSplit;
  /** Evaluate every non-empty set of modalities. */
  subsets?: boolean;
  /** What stands for a missing modality in a model without mask token (as configured). */
  fill?: Fill | undefined;
  /** Also measures the ensembles' calibration and boundary IoU, where the configuration does not. */
  calibration?: boolean;
  boundary?: boolean;
  checkpoint?: 'best' | 'latest' | undefined;
  /** `key=value` overrides of the run's configuration: other data, another device. */
  sets?: readonly string[];
  onProgress?: (done: number, images: number) => void;
  onNote?: (text: string) => void;
  signal?: AbortSignal;
}

/**
 * Robust mIoU of a run's networks on its evaluation list, or its test list.
 *
 * @throws CheckpointError M3L_NO_CHECKPOINT, M3L_CHECKPOINT_READ, M3L_CHECKPOINT_MODEL
 * @throws EvaluationError M3L_MISSING_MODALITY for a modality the run has not
 */
export async function evaluateRun(
  run: RunFolder,
  options: EvaluateRunOptions = {},
): Promise<EvaluationReport> {
  checkArguments('evaluateRun', { run, options }, { run: runFolderShape, options: is.record });

  const config = run.config(options.sets);
  const checkpoint = () => requireCheckpoint(run, options.checkpoint ?? 'latest');
  return evaluateLoaded(config, options, {
    asked: asksForDevice(options.sets),
    place: checkpoint,
    load: (path, asked, classes) => loadNetworks(path, asked, classes),
  });
}

/** Where networks come from, and how they are loaded for so many classes. */
export interface NetworkSource {
  /** Whether the configuration's device is asked for now; else it is where a run was trained. */
  asked: boolean;
  place: () => string;
  load: (
    place: string,
    config: Config,
    classes: number,
  ) => { networks: Networks; iteration: number };
}

/** Evaluates networks that are loaded for it, as a configuration and options say. */
export async function evaluateLoaded(
  given: Config,
  options: Omit<EvaluateRunOptions, 'checkpoint' | 'sets'>,
  { asked, place, load }: NetworkSource,
): Promise<EvaluationReport> {
  const placed = prepareTorch(given, options.onNote, { asked });
  const config = { ...placed, evaluate: { ...given.evaluate } };
  if (options.fill !== undefined) config.evaluate.fill = options.fill;
  if (options.calibration) config.evaluate.calibration = true;
  if (options.boundary) config.evaluate.boundary = true;
  const modalities = Object.keys(config.data.modalities);
  const missing: MissingProtocol =
    options.missing !== undefined
      ? [options.missing.map((name) => modalityIndex(name, modalities))]
      : options.subsets
        ? 'subsets'
        : 'each';
  const path = place();
  const { split, onProgress, signal } = options;
  const datasets = await openDatasets(config, options.onNote, { ...(split ? { split } : {}) });
  try {
    const { networks, iteration } = load(path, config, datasets.classes.length);
    try {
      const all = { config, networks, datasets, iteration, missing, signal, onProgress };
      const report = await evaluateNetworks(all);
      return { ...report, checkpoint: path, ...(split ? { split } : {}) };
    } finally {
      disposeNetworks(networks);
    }
  } finally {
    await datasets.close();
  }
}

export interface EvaluateNetworksOptions {
  config: Config;
  networks: Networks;
  datasets: Datasets;
  iteration: number;
  missing?: MissingProtocol;
  /** With whom the set is shared (nobody); `datasets` then has this process's part. */
  peers?: Peers;
  signal?: AbortSignal | undefined;
  onProgress?: ((done: number, images: number) => void) | undefined;
}

/** Evaluates live networks, as training does on its way. */
export async function evaluateNetworks(
  options: EvaluateNetworksOptions,
): Promise<EvaluationReport> {
  checkArguments('evaluateNetworks', { options }, { options: evaluateNetworksOptionsShape });

  const { config, networks, datasets, iteration, peers = ALONE, signal, onProgress } = options;
  const { validationImages: all } = datasets;
  const { name, model } = answering(config, networks);
  const result = await evaluateRobust({
    models: { [name]: model, ...networks },
    headline: name,
    specs: datasets.specs,
    batches: datasets.validation(),
    first: datasets.validationFirst,
    peers,
    missing: options.missing ?? (config.evaluate.subsets ? 'subsets' : 'each'),
    fill: config.evaluate.fill,
    seed: config.seed,
    alignCorners: sizingOf(config).alignCorners,
    ...viewsOf(config.evaluate),
    calibration: config.evaluate.calibration,
    boundary: config.evaluate.boundary,
    signal,
    onProgress: (done) => onProgress?.(Math.min(all, done * peers.worldSize), all),
  });
  const { classes } = datasets;
  return { framework: config.framework.name, checkpoint: null, iteration, classes, ...result };
}

/** Draws the contact sheet of the headline model, a PNG; null where the configuration asks for none. */
export async function drawSamples({
  config,
  networks,
  datasets,
}: Pick<EvaluateNetworksOptions, 'config' | 'networks' | 'datasets'>): Promise<Buffer | null> {
  const rows = config.evaluate.samples;
  if (rows === 0) return null;
  return contactSheet({
    model: answering(config, networks).model,
    specs: datasets.specs,
    classes: datasets.classes,
    colours: paletteOf(config),
    batches: datasets.samples(rows),
    rows,
    fill: config.evaluate.fill,
    alignCorners: sizingOf(config).alignCorners,
    ...viewsOf(config.evaluate),
  });
}

export function requireCheckpoint(run: RunFolder, which: 'best' | 'latest'): string {
  const path = findCheckpoint(run.checkpoints, which);
  if (path !== null) return path;
  throw new CheckpointError(
    'M3L_NO_CHECKPOINT',
    `${run.path} has no checkpoint yet. Train it: m3l train --resume ${run.path}`,
  );
}

/** @throws EvaluationError M3L_MISSING_MODALITY */
export function modalityIndex(name: string, modalities: readonly string[]): number {
  const index = modalities.indexOf(name);
  if (index >= 0) return index;
  const near = nearest(name, modalities);
  throw new EvaluationError(
    'M3L_MISSING_MODALITY',
    `'${name}' is no modality of this run, which has ${modalities.join(', ')}.${meant(near)}`,
  );
}
