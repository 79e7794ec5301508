import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { z } from 'zod';
import { makeFolder, writeFileAtomic } from '../../torch/atomic-write.js';
import { RunError } from '../errors.js';
import { readJsonFile } from '../json-file.js';
import { isLocked, lockFolder } from '../run-lock.js';

/** After how long a launcher or training of another host that no longer touches its lock is gone. */
const SILENT_SECONDS = 120;
/** How often it is looked whether another process is done. */
export const LOOK_MS = 500;

const failureSchema = z.object({ reason: z.string() });

/**
 * What the processes that train one suite into one folder tell each other: which of them has a training, by
 * a lock in `.claims/TRAINING`, and why one failed.
 */
export class Claims {
  readonly #folder: string;
  /** By the clock of the file system, which all share. */
  readonly #begun: number;

  constructor(folder: string) {
    this.#folder = join(folder, '.claims');
    makeFolder(this.#folder);
    const mark = join(this.#folder, 'begun');
    writeFileAtomic(mark, '');
    this.#begun = statSync(mark).mtimeMs;
  }

  /** What gives the training up again; null: another process has it. */
  take(training: string): (() => void) | null {
    const folder = join(this.#folder, training);
    makeFolder(folder);
    try {
      return lockFolder(folder, SILENT_SECONDS);
    } catch (error) {
      if (error instanceof RunError && error.code === 'M3L_RUN_LOCKED') return null;
      throw error;
    }
  }

  /** Waits until a training whose launcher was lost has saved and ended. */
  async untilLeft(run: string, signal: AbortSignal | undefined): Promise<void> {
    while (isLocked(run, SILENT_SECONDS)) {
      if (signal?.aborted) return;
      await pause(LOOK_MS);
    }
    // A lock that is left is of another host's process that is gone: taken over here, then free.
    if (existsSync(join(run, 'run.lock'))) lockFolder(run, SILENT_SECONDS)();
  }

  fail(training: string, reason: string): void {
    writeFileAtomic(this.#failure(training), `${JSON.stringify({ reason })}\n`);
  }

  /** Why a training has failed in any of the processes since this one began; null: it has not. */
  failure(training: string): string | null {
    const file = this.#failure(training);
    if (!existsSync(file) || statSync(file).mtimeMs < this.#begun) return null;
    return failureSchema.safeParse(readJsonFile(file)).data?.reason ?? null;
  }

  #failure(training: string): string {
    return join(this.#folder, training, 'failed.json');
  }
}
