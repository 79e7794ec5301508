import type { Trainer } from '../learning/index.js';
import { CheckpointError, Interrupted, reasonOf } from './errors.js';
import type { RunFolder } from './run-folder.js';

export interface RescueOptions {
  run: RunFolder;
  trainer: Trainer;
  /** The iteration of the latest checkpoint; 0 without one. */
  saved: number;
  /** Writes a checkpoint of the trainer's state. */
  save: () => void;
}

/**
 * Saves the steps that an error would lose, and gives the error, its message saying how to go on.
 * Where nothing was trained there is nothing to add.
 */
export function rescue(error: unknown, { run, trainer, saved, save }: RescueOptions): unknown {
  const { iteration } = trainer;
  if (error instanceof Interrupted || !(error instanceof Error) || iteration === 0) return error;
  const goOn = `go on with: m3l train --resume ${run.path}`;
  if (error instanceof CheckpointError && error.code === 'M3L_CHECKPOINT_WRITE') return error;
  if (iteration === saved) {
    error.message += ` The state after iteration ${iteration} is saved. Mend that, then ${goOn}`;
    return error;
  }
  try {
    if (!trainer.intact) throw new Error('the weights were being changed');
    save();
    error.message += ` The state after iteration ${iteration} is saved. Mend that, then ${goOn}`;
  } catch (failure) {
    error.message +=
      ` The state after iteration ${iteration} could not be saved (${reasonOf(failure)}); ` +
      (saved === 0 ? 'nothing is.' : `that after iteration ${saved} is. Mend that, then ${goOn}`);
  }
  return error;
}
