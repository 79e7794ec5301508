/** What a suite of tasks says of M3L: what `npm run suite` computes. */

import type { Fill } from '../models/index.js';
import { average, type Comparison, type Spread, spread } from './comparison.js';

/** What M3L is to reach on each task, and on average; points of mIoU. */
export const AIM = { robust: 5, all: -1, average: 8 } as const;

/** A framework on a task, with the fill that serves it best. Shares of 1. */
export interface FrameworkScore {
  framework: string;
  /** Null where the mask token stands for what is missing. */
  fill: Fill | null;
  /** mIoU with every modality there. */
  all: Spread;
  robust: Spread;
  /** Seconds in training steps of a run, on average. */
  seconds: number;
}

/** One task of a suite; plain JSON. */
export interface TaskScore {
  task: string;
  /** Whether settings were chosen on it. */
  choosing: boolean;
  seeds: number[];
  frameworks: FrameworkScore[];
  /** M3L over supervised training with its best fill; null where one of the two is not there. */
  gain: TaskGain | null;
}

/** Points of mIoU, with the seeds paired. */
export interface TaskGain {
  robust: Spread;
  all: Spread;
  /** Whether both reach what each task is to reach. */
  met: boolean;
}

/** Gains over several tasks. */
export interface SuiteGain {
  tasks: number;
  met: number;
  /** Means over the tasks, points. */
  robust: number;
  all: number;
  /** Whether each task meets the aim, and the average does. */
  reached: boolean;
}

export function scoreTask(
  task: string,
  choosing: boolean,
  { seeds, rows, runs }: Comparison,
): TaskScore {
  const frameworks = rows
    .filter(({ best }) => best)
    .map(({ framework, fill, cases, robustMeanIoU: robust }): FrameworkScore => {
      const { name: _, ...all } = cases.find(({ name }) => name === 'all')!;
      const own = runs.filter((run) => run.framework === framework);
      return { framework, fill, all, robust, seconds: average(own.map(({ seconds }) => seconds)) };
    });
  const [m3l, supervised] = ['m3l', 'supervised'].map((name) =>
    frameworks.find(({ framework }) => framework === name),
  );
  const gain = m3l && supervised ? gainOf(m3l, supervised) : null;
  return { task, choosing, seeds, frameworks, gain };
}

function gainOf(own: FrameworkScore, other: FrameworkScore): TaskGain {
  const robust = difference(own.robust, other.robust);
  const all = difference(own.all, other.all);
  return { robust, all, met: robust.mean >= AIM.robust && all.mean >= AIM.all };
}

/** Null where no task has a gain. */
export function suiteGain(tasks: readonly TaskScore[]): SuiteGain | null {
  const gains = tasks.flatMap(({ gain }) => gain ?? []);
  if (gains.length === 0) return null;
  const met = gains.filter((gain) => gain.met).length;
  const robust = average(gains.map((gain) => gain.robust.mean));
  const all = average(gains.map((gain) => gain.all.mean));
  const reached = met === gains.length && robust >= AIM.average;
  return { tasks: gains.length, met, robust, all, reached };
}

function difference(own: Spread, other: Spread): Spread {
  return spread(own.values.map((value, seed) => 100 * (value - other.values[seed]!)));
}
