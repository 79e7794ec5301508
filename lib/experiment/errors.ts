import { M3lError } from '../torch/errors.js';

/** A configuration that cannot be used: the file, the key, the value found and the mend. */
export class ConfigError extends M3lError {}

/** A checkpoint that could not be written or does not fit what is asked of it. */
export class CheckpointError extends M3lError {}

/** A run folder that is missing, incomplete or in the way. */
export class RunError extends M3lError {}

/** Training was asked to stop; everything is saved, and `mend` says how to go on from here. */
export class Interrupted extends M3lError {
  constructor(
    readonly folder: string,
    readonly iteration: number,
    mend = `m3l train --resume ${folder}`,
  ) {
    super(
      'M3L_INTERRUPTED',
      `Interrupted after iteration ${iteration}; the state is saved. Go on with: ${mend}`,
    );
  }
}

/** Text of anything thrown, for messages that wrap another error. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The system's error code (`ENOENT`, `ENOSPC`, …) of a file operation, if it has one. */
export function systemCode(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}
