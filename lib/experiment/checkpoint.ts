import { existsSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { frameworkNamed } from '../learning/index.js';
import { models } from '../models/index.js';
import { writeFileAtomic, writeFolderAtomic } from '../torch/atomic-write.js';
import { checkArguments } from '../torch/check-arguments.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import * as is from '../torch/rules.js';
import { bestIn, FACTS, readFacts, stepsIn } from './checkpoint-facts.js';
import type { Config } from './config/config.js';
import { CheckpointError, reasonOf, systemCode } from './errors.js';
import { checkpointShape, configShape } from './rules.js';

/**
 * Everything training needs to go on as if it had never stopped.
 *
 * Tensors are named `NETWORK.*` for each network of the framework (`student.*`, `teacher.*`), and
 * anything else (`optimizer.*`); `meta` is what of the state is no tensor.
 */
export interface Checkpoint {
  /** Iterations done. */
  iteration: number;
  config: Config;
  tensors: Record<string, Tensor>;
  meta: unknown;
  /** Robust mIoU of the evaluation after that iteration, if there was one. */
  score: number | null;
}

const MODEL = 'model.safetensors';
const TRAINING = 'training.safetensors';

/**
 * Writes `step-N/` atomically and removes all but the `keep` latest and the best. Which is the latest
 * and which the best follows from what is there, so that this one step changes all. Where it fails,
 * the checkpoints from before are untouched.
 *
 * @throws CheckpointError M3L_CHECKPOINT_WRITE
 */
export function saveCheckpoint(
  folder: string,
  checkpoint: Checkpoint,
  options: { keep: number },
): string {
  checkArguments(
    'saveCheckpoint',
    { folder, checkpoint, options },
    {
      folder: is.text,
      checkpoint: checkpointShape,
      options: is.shape('options', { keep: is.finite }),
    },
  );
  const { keep } = options;

  const name = `step-${String(checkpoint.iteration).padStart(7, '0')}`;
  const { tensors, ...facts } = checkpoint;
  const { networks } = frameworkNamed(facts.config.framework.name);
  const isModel = (key: string) => networks.some((network) => key.startsWith(`${network}.`));
  try {
    writeFolderAtomic(join(folder, name), (temporary) => {
      torch.saveSafetensors(join(temporary, MODEL), pick(tensors, isModel));
      torch.saveSafetensors(
        join(temporary, TRAINING),
        pick(tensors, (key) => !isModel(key)),
      );
      writeFacts(temporary, facts);
    });
    prune(folder, keep);
  } catch (error) {
    throw writeError(folder, name, error);
  }
  return join(folder, name);
}

/**
 * Gives a checkpoint that was saved without evaluation (training was stopped) the score that it came
 * to later, where it has none.
 *
 * @throws CheckpointError M3L_CHECKPOINT_READ, M3L_CHECKPOINT_WRITE
 */
export function recordScore(path: string, score: number): void {
  checkArguments('recordScore', { path, score }, { path: is.text, score: is.number });

  const facts = orReadError(path, () => readFacts(path));
  if (facts.score !== null) return;
  try {
    writeFacts(path, { ...facts, score });
  } catch (error) {
    throw writeError(dirname(path), basename(path), error);
  }
}

/** Folder of the latest checkpoint, or of that with the highest score; null where there is none. */
export function findCheckpoint(folder: string, which: 'latest' | 'best'): string | null {
  checkArguments('findCheckpoint', { folder, which }, { folder: is.text, which: is.text });

  const latest = stepsIn(folder).at(-1);
  const name = which === 'best' ? (bestIn(folder)?.name ?? latest) : latest;
  return name === undefined ? null : join(folder, name);
}

/** Whether a folder is a complete checkpoint. */
export function isCheckpoint(folder: string): boolean {
  return existsSync(join(folder, FACTS));
}

/**
 * Reads a checkpoint. The tensors belong to the current scope.
 *
 * @param options.modelOnly leaves out what only training needs
 * @throws CheckpointError M3L_CHECKPOINT_READ
 */
export function loadCheckpoint(path: string, options: { modelOnly?: boolean } = {}): Checkpoint {
  checkArguments('loadCheckpoint', { path, options }, { path: is.text, options: is.record });
  const { modelOnly = false } = options;

  const files = modelOnly ? [MODEL] : [MODEL, TRAINING];
  return orReadError(path, () => {
    const { format: _, config, ...facts } = readFacts(path);
    const tensors = files.flatMap((name) =>
      Object.entries(torch.loadSafetensors(join(path, name)).tensors),
    );
    return {
      ...facts,
      config: config as unknown as Config,
      // Not by assignment, to which a name like __proto__ is no name.
      tensors: Object.fromEntries(tensors),
    };
  });
}

/** Whatever cannot be read of a checkpoint ends in the same error. */
export function orReadError<Result>(path: string, read: () => Result): Result {
  try {
    return read();
  } catch (error) {
    const others = stepsIn(dirname(path)).filter((name) => name !== basename(path));
    const mend =
      others.length === 0
        ? 'Train again.'
        : `Remove it to use ${others.at(-1)}, the latest of the others.`;
    throw new CheckpointError(
      'M3L_CHECKPOINT_READ',
      `The checkpoint ${path} cannot be read: ${reasonOf(error)}. ${mend}`,
      { cause: error },
    );
  }
}

/**
 * Compares the model that a checkpoint holds with the one wanted.
 *
 * @throws CheckpointError M3L_CHECKPOINT_MODEL naming every difference
 */
export function checkSameModel(path: string, found: Config, wanted: Config): void {
  checkArguments(
    'checkSameModel',
    { path, found, wanted },
    { path: is.text, found: configShape, wanted: configShape },
  );

  const [there, here] = [modelOf(found), modelOf(wanted)];
  const differences = [...new Set([...Object.keys(there), ...Object.keys(here)])]
    .map((key) => [key, there[key], here[key]] as const)
    .filter(([, a, b]) => JSON.stringify(a) !== JSON.stringify(b));
  if (differences.length === 0) return;
  throw new CheckpointError(
    'M3L_CHECKPOINT_MODEL',
    `${path} is a checkpoint of another model: ${differences
      .map(([key, a, b]) => `${key} is ${shown(a)} there, ${shown(b)} is wanted`)
      .join('; ')}. Use the configuration of that run, or train anew.`,
  );
}

/**
 * What makes a model what it is, by configuration key. Its options are read as a configuration's, so
 * that one which was not there yet when a run was saved has its default.
 */
function modelOf({ model, data }: Config): Record<string, unknown> {
  // What values started with is no part of it.
  const { name, maskToken, pretrained: _, maskTokenStd: __, ...given } = model;
  const known = models.find((each) => each.name === name);
  const options = known?.options.safeParse(given).data ?? given;
  // Whose heads the ensemble weighs is asked of a model anew each time; its weights are of either kind.
  const all = { name, ...options, maskToken, ensemble: undefined };
  return {
    ...Object.fromEntries(Object.entries(all).map(([key, value]) => [`model.${key}`, value])),
    'data.modalities': Object.keys(data.modalities).join(', '),
  };
}

/** What stands in a checkpoint may be anything: an object's own `toString` need not be a function. */
function shown(value: unknown): string {
  if (typeof value === 'string') return value.slice(0, 200);
  return value === undefined || value === null ? 'unset' : JSON.stringify(value).slice(0, 200);
}

function pick(tensors: Record<string, Tensor>, wanted: (key: string) => boolean) {
  return Object.fromEntries(Object.entries(tensors).filter(([key]) => wanted(key)));
}

function writeFacts(path: string, facts: object): void {
  writeFileAtomic(join(path, FACTS), `${JSON.stringify({ format: 1, ...facts }, null, 2)}\n`);
}

function prune(folder: string, keep: number): void {
  const steps = stepsIn(folder);
  const kept = new Set([...steps.slice(-keep), bestIn(folder)?.name]);
  for (const name of steps.filter((step) => !kept.has(step))) {
    // A checkpoint that is half removed must not pass for one.
    const removed = join(folder, `.${name}.removed`);
    renameSync(join(folder, name), removed);
    rmSync(removed, { recursive: true, force: true });
  }
}

/** Removes what a kill in the middle of a write has left. */
export function removeLeftovers(folder: string): void {
  for (const name of existsSync(folder) ? readdirSync(folder) : []) {
    if (/^\.(step-|.*\.tmp$)/.test(name)) {
      rmSync(join(folder, name), { recursive: true, force: true });
    }
  }
  for (const step of stepsIn(folder)) {
    for (const name of readdirSync(join(folder, step))) {
      if (/^\..*\.tmp$/.test(name)) rmSync(join(folder, step, name));
    }
  }
}

function writeError(folder: string, name: string, error: unknown): CheckpointError {
  const cause = rootCause(error);
  const full = ['ENOSPC', 'EDQUOT'].includes(systemCode(cause) ?? '');
  const last = findCheckpoint(folder, 'latest');
  return new CheckpointError(
    'M3L_CHECKPOINT_WRITE',
    [
      `The checkpoint ${join(folder, name)} could not be written: ${reasonOf(cause)}.`,
      last === null ? 'There is no earlier checkpoint.' : `The last good one is ${last}, intact.`,
      full ? 'Free some space, then go on with --resume.' : 'Mend that, then go on with --resume.',
    ].join(' '),
    { cause: error },
  );
}

function rootCause(error: unknown): unknown {
  return error instanceof Error && error.cause !== undefined ? rootCause(error.cause) : error;
}
