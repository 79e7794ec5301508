import { existsSync } from 'node:fs';
import type { Config } from './config/config.js';
import { readJsonFile } from './json-file.js';
import type { RunFolder } from './run-folder.js';
import type { TrainSummary } from './train.js';

/** What a run came to that was trained for as long as asked; null where it was not. */
export function finishedRun(
  run: RunFolder | null,
  { iterations }: Pick<Config, 'iterations'>,
): TrainSummary | null {
  if (run === null || !existsSync(run.summaryFile)) return null;
  const summary = readIfWhole(run.summaryFile) as TrainSummary | null;
  if (summary === null || summary.iterations !== iterations) return null;
  // The folder may have been moved since.
  return { ...summary, run: run.path, samples: summary.samples && run.samplesFile };
}

/** What a file of ours holds; null where it is not there or was cut short. */
export function readIfWhole(file: string): unknown {
  try {
    return readJsonFile(file);
  } catch {
    return null;
  }
}
