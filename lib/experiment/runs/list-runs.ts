import { existsSync, readdirSync, realpathSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { z } from 'zod';
import { checkArguments } from '../../torch/check-arguments.js';
import * as is from '../../torch/rules.js';
import { statIfThere } from '../../torch/stat.js';
import { bestIn, FACTS, readFacts, stepsIn } from '../checkpoint-facts.js';
import { RunError, reasonOf } from '../errors.js';
import { readIfWhole } from '../finished-run.js';
import { isLocked } from '../run-lock.js';
import { storedFacts } from './facts.js';
import { lastLine } from './tail.js';

/** `broken`: cannot be read; the problem says why. */
export type RunState = 'running' | 'finished' | 'stopped' | 'broken';

/** A run as a list shows it; plain JSON. Null is what could not be found out. */
export interface ListedRun {
  /** Its folder, relative to the one that was looked through. */
  run: string;
  state: RunState;
  framework: string | null;
  model: string | null;
  /** `rooms`, or the name of the data's folder. */
  data: string | null;
  /** Iterations done, and asked for. */
  iteration: number;
  iterations: number | null;
  /** The best of its evaluations, 0 to 1. */
  robustMeanIoU: number | null;
  /** When it was last written to, as ISO 8601. */
  when: string | null;
  /** What is wrong with it, or its data; null: nothing that was seen. */
  problem: string | null;
}

/** Folders looked through, one below the other: suites and comparisons have runs in folders. */
const DEPTH = 4;
const FOLDERS = 100_000;

/**
 * The runs in a folder and the folders in it, newest first; the folder itself where it is one. What is
 * half-written, damaged or of a newer version is listed as such.
 *
 * @throws RunError M3L_RUN_MISSING where there is no such folder
 */
export function listRuns(folder: string): ListedRun[] {
  checkArguments('listRuns', { folder }, { folder: is.text });

  const root = resolve(folder);
  if (!statIfThere(root)?.isDirectory()) {
    throw new RunError(
      'M3L_RUN_MISSING',
      `${folder} is no folder; expected one with runs, as 'm3l train' writes them to runs/. Give it: m3l runs FOLDER`,
    );
  }
  const found = foldersIn(root).flatMap((path) => {
    const listed = look(path);
    return listed === null ? [] : [{ ...listed, run: relative(root, path) || '.' }];
  });
  return found.sort((a, b) => (b.when ?? '').localeCompare(a.when ?? ''));
}

/** The folders that are runs, or were to be, as the names in them tell. */
export function foldersIn(root: string, holdsRun = isRun): string[] {
  const runs: string[] = [];
  const seen = new Set<string>();
  const visit = (path: string, depth: number) => {
    let names: string[];
    try {
      // A link may lead back up.
      const real = realpathSync(path);
      if (seen.has(real) || seen.size >= FOLDERS) return;
      seen.add(real);
      names = readdirSync(path);
    } catch {
      return;
    }
    if (holdsRun(names)) {
      runs.push(path);
      return;
    }
    if (depth === 0) return;
    for (const name of names) {
      if (name.startsWith('.') || name === 'node_modules') continue;
      const inner = join(path, name);
      if (statIfThere(inner)?.isDirectory()) visit(inner, depth - 1);
    }
  };
  visit(root, DEPTH);
  return runs;
}

export function isRun(names: readonly string[]): boolean {
  const has = (name: string) => names.includes(name);
  return has('metrics.jsonl') || has('checkpoints') || (has('config.yaml') && has('run.lock'));
}

/** Null where the folder went away meanwhile. */
function look(path: string): Omit<ListedRun, 'run'> | null {
  const log = join(path, 'metrics.jsonl');
  const when = [log, join(path, 'config.yaml'), path]
    .map((file) => statIfThere(file)?.mtime.toISOString())
    .find((time) => time !== undefined);
  const listed: Omit<ListedRun, 'run'> = {
    state: 'broken',
    ...{ framework: null, model: null, data: null },
    iteration: lastLine(log)?.iteration ?? 0,
    ...{ iterations: null, robustMeanIoU: null },
    when: when ?? null,
    problem: null,
  };
  try {
    const { root, foreign, ...facts } = storedFacts(path);
    Object.assign(listed, facts);
    const checkpoints = join(path, 'checkpoints');
    const latest = stepsIn(checkpoints).at(-1);
    if (latest !== undefined) {
      requireFormat(join(checkpoints, latest));
      listed.iteration = Math.max(listed.iteration, readFacts(join(checkpoints, latest)).iteration);
    }
    const summary = summaryIn(path);
    listed.robustMeanIoU = bestIn(checkpoints)?.score ?? summary?.robustMeanIoU ?? null;
    if (foreign !== null) throw new Error(`${foreign} in config.yaml is unknown: of a newer m3l`);
    const isFinished = summary !== null && summary.iterations === facts.iterations;
    listed.state = isLocked(path) ? 'running' : isFinished ? 'finished' : 'stopped';
    if (isFinished) listed.iteration = summary.iterations;
    if (root !== null && !existsSync(root)) listed.problem = `its data are not at ${root}`;
  } catch (error) {
    if (!existsSync(path)) return null;
    const isWritten = existsSync(join(path, 'config.yaml'));
    listed.problem = isWritten ? reasonOf(error) : 'has no config.yaml';
  }
  return listed;
}

const formatSchema = z.object({ format: z.number() });

/** @throws Error where the format is a later one than this version's */
function requireFormat(checkpoint: string): void {
  const found = formatSchema.safeParse(readIfWhole(join(checkpoint, FACTS)));
  if (found.success && found.data.format > 1) {
    throw new Error(`its checkpoints have format ${found.data.format}: of a newer m3l`);
  }
}

const summarySchema = z.object({
  iterations: z.number(),
  evaluation: z.object({ robustMeanIoU: z.number().nullable() }),
});

function summaryIn(path: string): { iterations: number; robustMeanIoU: number | null } | null {
  const found = summarySchema.safeParse(readIfWhole(join(path, 'summary.json')));
  if (!found.success) return null;
  const { iterations, evaluation } = found.data;
  return { iterations, robustMeanIoU: evaluation.robustMeanIoU };
}
