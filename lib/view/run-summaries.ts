import { join } from 'node:path';
import { bestIn } from '../experiment/checkpoint-facts.js';
import { parseMetrics } from '../experiment/metrics.js';
import { isLocked } from '../experiment/run-lock.js';
import type { RunEntry, RunState, RunSummary } from './api.js';
import { readText, statOf } from './files.js';
import { readRunConfig } from './run-config.js';

/** Of a long log its end is enough for a line in a list. */
const END = 512 << 10;
const MOST_KEPT = 2000;

interface Kept {
  stamp: string;
  summary: Omit<RunSummary, keyof RunEntry | 'state'> & { empty: boolean; finished: boolean };
}

/** Runs in a line each, read when asked for and kept until something is written to them. */
export class RunSummaries {
  readonly #kept = new Map<string, Kept>();

  async of({ id, folder, changed }: RunEntry): Promise<RunSummary> {
    const files = await Promise.all(
      ['config.yaml', 'metrics.jsonl', 'summary.json'].map((name) => statOf(join(folder, name))),
    );
    const stamp = files
      .map((each) => (each ? `${each.ino} ${each.size} ${each.mtimeMs}` : '-'))
      .join();
    let kept = this.#kept.get(folder);
    if (kept?.stamp !== stamp) {
      kept = { stamp, summary: await summarise(folder, files[2] !== null) };
      this.#kept.delete(folder);
      this.#kept.set(folder, kept);
      if (this.#kept.size > MOST_KEPT) this.#kept.delete(this.#kept.keys().next().value!);
    }
    const { empty, finished, ...summary } = kept.summary;
    const state: RunState =
      files[0] === null
        ? 'gone'
        : isLocked(folder)
          ? 'training'
          : finished
            ? 'finished'
            : empty
              ? 'empty'
              : 'stopped';
    return { id, folder, changed, ...summary, state };
  }
}

async function summarise(folder: string, hasSummary: boolean): Promise<Kept['summary']> {
  const { facts, problem } = await readRunConfig(join(folder, 'config.yaml'));
  const { framework, model, iterations } = facts;
  let iteration = 0;
  // The end of a long log may tell of no evaluation.
  let best = bestIn(join(folder, 'checkpoints'))?.score ?? null;
  let trouble = problem;
  try {
    const end = await readText(join(folder, 'metrics.jsonl'), { most: END, last: true });
    for (const line of parseMetrics(end ?? '')) {
      iteration = Math.max(iteration, line.iteration);
      if (line.kind !== 'evaluation') continue;
      const { robustMeanIoU } = line as { robustMeanIoU?: unknown };
      if (typeof robustMeanIoU !== 'number') continue;
      best = Math.max(best ?? robustMeanIoU, robustMeanIoU);
    }
  } catch (error) {
    trouble ??= error instanceof Error ? error.message : String(error);
  }
  return {
    framework,
    model,
    iterations,
    iteration,
    robustMeanIoU: best,
    problem: trouble,
    empty: iteration === 0,
    finished: hasSummary && (iterations === null || iteration >= iterations),
  };
}
