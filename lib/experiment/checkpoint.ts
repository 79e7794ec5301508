import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { frameworkNamed } from '../learning/index.js';
import { models } from '../models/index.js';
import { writeFileAtomic, writeFolderAtomic } from '../torch/atomic-write.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import type { Config } from './config/config.js';
import { CheckpointError, reasonOf, systemCode } from './errors.js';

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
  /** Robust mIoU of the latest evaluation, if there was one. */
  score: number | null;
}

interface Facts {
  format: 1;
  iteration: number;
  score: number | null;
  config: Config;
  meta: unknown;
}

const MODEL = 'model.safetensors';
const TRAINING = 'training.safetensors';
const FACTS = 'checkpoint.json';
const STEP = /^step-(\d+)$/;

/**
 * Writes `step-N/` atomically, points `latest` (and `best`, if it is) at it, and removes all but
 * the `keep` latest and the best. Where that fails, the checkpoints from before are untouched.
 *
 * @throws CheckpointError M3L_CHECKPOINT_WRITE
 */
export function saveCheckpoint(
  folder: string,
  checkpoint: Checkpoint,
  { keep, best }: { keep: number; best: boolean },
): string {
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
      const json: Facts = { format: 1, ...facts };
      writeFileAtomic(join(temporary, FACTS), `${JSON.stringify(json, null, 2)}\n`);
    });
    writeFileAtomic(join(folder, 'latest'), `${name}\n`);
    if (best) writeFileAtomic(join(folder, 'best'), `${name}\n`);
  } catch (error) {
    throw writeError(folder, name, error);
  }
  prune(folder, keep);
  return join(folder, name);
}

/**
 * Folder of the latest or best checkpoint; null where there is none.
 * A pointer to a checkpoint that is gone falls back to the latest that is there.
 */
export function findCheckpoint(folder: string, which: 'latest' | 'best'): string | null {
  const named = pointer(folder, which);
  if (named !== null) return join(folder, named);
  const last = steps(folder).at(-1);
  return last === undefined ? null : join(folder, last);
}

/** Whether a folder is a complete checkpoint. */
export function isCheckpoint(folder: string): boolean {
  return existsSync(join(folder, FACTS));
}

/**
 * Reads a checkpoint. The tensors belong to the current scope.
 *
 * @param modelOnly leaves out what only training needs
 * @throws CheckpointError M3L_CHECKPOINT_READ
 */
export function loadCheckpoint(path: string, { modelOnly = false } = {}): Checkpoint {
  const file = modelOnly ? [MODEL] : [MODEL, TRAINING];
  try {
    const { format, ...facts } = JSON.parse(readFileSync(join(path, FACTS), 'utf8')) as Facts;
    if (format !== 1) throw new Error(`format ${format}, expected 1`);
    const tensors = Object.assign(
      {},
      ...file.map((name) => torch.loadSafetensors(join(path, name)).tensors),
    ) as Record<string, Tensor>;
    return { ...facts, tensors };
  } catch (error) {
    const others = steps(join(path, '..')).filter((name) => name !== basename(path));
    const mend =
      others.length === 0
        ? 'Train again.'
        : `Remove it to use ${others.at(-1)}, the latest of the others.`;
    throw new CheckpointError(
      'M3L_CHECKPOINT_READ',
      `The checkpoint ${path} cannot be read: ${reasonOf(error)}. ${mend}`,
    );
  }
}

/**
 * Compares the model that a checkpoint holds with the one wanted.
 *
 * @throws CheckpointError M3L_CHECKPOINT_MODEL naming every difference
 */
export function checkSameModel(path: string, found: Config, wanted: Config): void {
  const [there, here] = [modelOf(found), modelOf(wanted)];
  const differences = [...new Set([...Object.keys(there), ...Object.keys(here)])]
    .map((key) => [key, there[key], here[key]] as const)
    .filter(([, a, b]) => JSON.stringify(a) !== JSON.stringify(b));
  if (differences.length === 0) return;
  throw new CheckpointError(
    'M3L_CHECKPOINT_MODEL',
    `${path} is a checkpoint of another model: ${differences
      .map(([key, a, b]) => `${key} is ${a ?? 'unset'} there, ${b ?? 'unset'} is wanted`)
      .join('; ')}. Use the configuration of that run, or train anew.`,
  );
}

/**
 * What makes a model what it is, by configuration key. Its options are read as a configuration's, so
 * that one which was not there yet when a run was saved has its default.
 */
function modelOf({ model, data }: Config): Record<string, unknown> {
  const { name, maskToken, pretrained: _, ...given } = model;
  const known = models.find((each) => each.name === name);
  const options = known?.options.safeParse(given).data ?? given;
  const all = { name, ...options, maskToken };
  return {
    ...Object.fromEntries(Object.entries(all).map(([key, value]) => [`model.${key}`, value])),
    'data.modalities': Object.keys(data.modalities).join(', '),
  };
}

function pick(tensors: Record<string, Tensor>, wanted: (key: string) => boolean) {
  return Object.fromEntries(Object.entries(tensors).filter(([key]) => wanted(key)));
}

function pointer(folder: string, which: 'latest' | 'best'): string | null {
  const file = join(folder, which);
  if (!existsSync(file)) return null;
  const name = readFileSync(file, 'utf8').trim();
  return STEP.test(name) && existsSync(join(folder, name, FACTS)) ? name : null;
}

/** Names of the complete checkpoints, oldest first. */
function steps(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => STEP.test(name) && existsSync(join(folder, name, FACTS)))
    .sort();
}

function prune(folder: string, keep: number): void {
  const kept = new Set([
    ...steps(folder).slice(-keep),
    pointer(folder, 'latest'),
    pointer(folder, 'best'),
  ]);
  for (const name of readdirSync(folder)) {
    const abandoned = name.startsWith('.step-');
    if (abandoned || (STEP.test(name) && !kept.has(name))) {
      rmSync(join(folder, name), { recursive: true, force: true });
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
