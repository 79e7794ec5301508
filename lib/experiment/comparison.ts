import type { Fill } from '../models/index.js';
import { checkArguments } from '../torch/check-arguments.js';
import * as is from '../torch/rules.js';
import { comparedRunShape } from './rules.js';

/** How one run does with one fill; null where the mask token stands for what is missing. */
export interface RunScore {
  fill: Fill | null;
  /** 0 to 1: the mean over the cases of one modality missing, and none. */
  robustMeanIoU: number;
  cases: { name: string; meanIoU: number }[];
}

/** One framework trained from one seed. */
export interface ComparedRun {
  framework: string;
  seed: number;
  /** The run's folder. */
  run: string;
  /** One with the mask token, or one for each fill. */
  scores: RunScore[];
  /** The contact sheet; null where none was asked for. */
  samples: string | null;
  /** Time in training steps. */
  seconds: number;
}

/** Over the seeds. */
export interface Spread {
  mean: number;
  /** Standard deviation of the values found, 0 for a single one. */
  deviation: number;
  /** One for each seed, in the order of `Comparison.seeds`. */
  values: number[];
}

/** A framework with one fill, over the seeds. */
export interface ComparisonRow {
  framework: string;
  fill: Fill | null;
  /** Whether this fill serves the framework best: the highest mean of robust mIoU. */
  best: boolean;
  robustMeanIoU: Spread;
  cases: ({ name: string } & Spread)[];
}

/** By how much a framework beats another one, in points of robust mIoU. */
export interface Gain {
  framework: string;
  baseline: string;
  /** What both models without mask token are given: the fill best for each, or this one. */
  fill: 'best' | Fill;
  points: Spread;
}

/** Frameworks trained on one configuration from the same seeds; plain JSON. */
export interface Comparison {
  seeds: number[];
  runs: ComparedRun[];
  /** In the order of the frameworks, then of the fills. */
  rows: ComparisonRow[];
  /** Of each framework over each one before it. */
  gains: Gain[];
}

/**
 * Rows and gains of runs.
 *
 * @param runs every framework with every seed, frameworks in the order asked for
 * @param fill the configuration's own, whose gains are told besides the best's
 */
export function compareRuns(runs: readonly ComparedRun[], fill: Fill): Comparison {
  checkArguments(
    'compareRuns',
    { runs, fill },
    { runs: is.listOf(comparedRunShape), fill: is.text },
  );

  const seeds = [...new Set(runs.map(({ seed }) => seed))];
  const frameworks = [...new Set(runs.map(({ framework }) => framework))];
  const rows = frameworks.flatMap((framework) =>
    rowsOf(
      framework,
      seeds.map((seed) => runs.find((run) => run.framework === framework && run.seed === seed)!),
    ),
  );
  const tokens = rows.filter((row) => row.fill === null).map(({ framework }) => framework);
  const told: Gain['fill'][] = rows.some((row) => row.fill === fill) ? ['best', fill] : ['best'];
  const rowOf = (name: string, wanted: Gain['fill']) =>
    rows.find(
      (row) =>
        row.framework === name &&
        (wanted === 'best' ? row.best : tokens.includes(name) || row.fill === wanted),
    )!;
  const gains = frameworks.flatMap((framework, index) =>
    frameworks.slice(0, index).flatMap((baseline) =>
      told.map((wanted): Gain => {
        const [own, other] = [rowOf(framework, wanted), rowOf(baseline, wanted)];
        const points = own.robustMeanIoU.values.map(
          (value, seed) => 100 * (value - other.robustMeanIoU.values[seed]!),
        );
        return { framework, baseline, fill: wanted, points: spread(points) };
      }),
    ),
  );
  return { seeds, runs: [...runs], rows, gains };
}

function rowsOf(framework: string, runs: readonly ComparedRun[]): ComparisonRow[] {
  const rows = runs[0]!.scores.map(({ fill, cases }, index) => {
    const scores = runs.map((run) => run.scores[index]!);
    return {
      framework,
      fill,
      robustMeanIoU: spread(scores.map((score) => score.robustMeanIoU)),
      cases: cases.map(({ name }, at) => ({
        name,
        ...spread(scores.map((score) => score.cases[at]!.meanIoU)),
      })),
    };
  });
  const best = rows.reduce((a, b) => (b.robustMeanIoU.mean > a.robustMeanIoU.mean ? b : a));
  return rows.map((row) => ({ ...row, best: row === best }));
}

/** Mean and deviation of values, one a seed. */
export function spread(values: number[]): Spread {
  const mean = average(values);
  return {
    mean,
    deviation: Math.sqrt(average(values.map((value) => (value - mean) ** 2))),
    values,
  };
}

export function average(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0) / values.length;
}
