import { join } from 'node:path';
import { z } from 'zod';
import { checkArguments } from '../../torch/check-arguments.js';
import * as is from '../../torch/rules.js';
import { resolveStored } from '../config/config.js';
import { entriesOf } from '../config/flattened.js';
import { completed } from '../config/follow-data.js';
import { isRecord } from '../config/shape.js';
import { RunError, reasonOf } from '../errors.js';
import { readIfWhole } from '../finished-run.js';
import { RunFolder } from '../run-folder.js';
import { storedValues } from './facts.js';
import { lastLine } from './tail.js';

/** Runs side by side; plain JSON. Every list has one entry a run, null where the run has none. */
export interface RunsSideBySide {
  runs: {
    /** The folder, as it was given. */
    run: string;
    /** Of its latest evaluation; null: it was not evaluated. */
    iteration: number | null;
    /** What of it could not be read, and why. */
    problem: string | null;
  }[];
  /** The keys of the configurations that differ, by dotted name. */
  settings: { key: string; values: unknown[] }[];
  /** Of the headline, 0 to 1. */
  robustMeanIoU: (number | null)[];
  /** For each set of missing modalities that any of them was evaluated with. */
  cases: {
    name: string;
    meanIoU: (number | null)[];
    classes: { name: string; IoU: (number | null)[] }[];
  }[];
}

const score = z.number().nullable();

const reportSchema = z.object({
  iteration: z.number(),
  classes: z.array(z.string()),
  models: z
    .array(
      z.object({
        heads: z
          .array(
            z.object({
              head: z.string(),
              robustMeanIoU: score,
              cases: z.array(
                z.object({ name: z.string(), meanIoU: score, classIoU: z.array(score) }),
              ),
            }),
          )
          .min(1),
      }),
    )
    .min(1),
});

/** A run's name is no part of what it was trained with. */
const NAME = 'name';

/**
 * Holds runs against each other: what of their configurations differs, and what their latest evaluations
 * found, in each case and for each class.
 *
 * @throws RunError M3L_RUN_MISSING where a folder is no run, M3L_COMPARE_RUNS for fewer than two
 */
export function compareRunFolders(folders: readonly string[]): RunsSideBySide {
  checkArguments('compareRunFolders', { folders }, { folders: is.listOf(is.text) });

  if (folders.length < 2) {
    throw new RunError(
      'M3L_COMPARE_RUNS',
      `found ${folders.length} run to compare, expected two or more: m3l compare RUN RUN.`,
    );
  }
  const read = folders.map((folder) => readRun(folder));
  const found = read.map(({ head }) => head);
  const classes = unique(read.map((run) => run.report?.classes ?? []));
  const cases = unique(found.map((head) => head?.cases.map(({ name }) => name) ?? []));
  const caseOf = (run: number, name: string) =>
    found[run]?.cases.find((one) => one.name === name) ?? null;
  return {
    runs: read.map(({ report, problem }, i) => ({
      run: folders[i]!,
      iteration: report?.iteration ?? null,
      problem,
    })),
    settings: differences(read.map(({ settings }) => settings)),
    robustMeanIoU: found.map((head) => head?.robustMeanIoU ?? null),
    cases: cases.map((name) => ({
      name,
      meanIoU: read.map((_, run) => caseOf(run, name)?.meanIoU ?? null),
      classes: classes.map((label) => ({
        name: label,
        IoU: read.map(({ report }, run) => {
          const at = report?.classes.indexOf(label) ?? -1;
          return caseOf(run, name)?.classIoU[at] ?? null;
        }),
      })),
    })),
  };
}

function readRun(folder: string) {
  const { path, configFile, metricsFile } = RunFolder.open(folder);
  const problems: string[] = [];
  let settings: unknown = {};
  try {
    settings = completed(resolveStored(configFile));
  } catch (error) {
    // Of a newer version, or edited: the values as they stand still compare.
    problems.push(reasonOf(error));
    try {
      settings = storedValues(path);
    } catch {
      // Nothing can be read; the problem says so.
    }
  }
  const summary = readIfWhole(join(path, 'summary.json'));
  const logged = lastLine(metricsFile, ({ kind }) => kind === 'evaluation');
  const reports = [isRecord(summary) ? summary.evaluation : undefined, logged].flatMap((one) => {
    const checked = reportSchema.safeParse(one);
    return checked.success ? [checked.data] : [];
  });
  // A run that goes on has a summary of before.
  const report = reports.sort((a, b) => b.iteration - a.iteration)[0] ?? null;
  if (report === null) problems.push('has no evaluation yet');
  const heads = report?.models[0]?.heads ?? [];
  return {
    settings: new Map(entriesOf(settings).filter(([key]) => key !== NAME)),
    report,
    head: heads.find(({ head }) => head === 'ensemble') ?? heads[0] ?? null,
    problem: problems.length > 0 ? problems.join('; ') : null,
  };
}

function differences(all: readonly ReadonlyMap<string, unknown>[]): RunsSideBySide['settings'] {
  return unique(all.map((settings) => [...settings.keys()]))
    .map((key) => ({ key, values: all.map((settings) => settings.get(key) ?? null) }))
    .filter(({ values }) => new Set(values.map((value) => JSON.stringify(value))).size > 1);
}

function unique(lists: readonly (readonly string[])[]): string[] {
  return [...new Set(lists.flat())];
}
