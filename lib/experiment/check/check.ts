import { availableParallelism } from 'node:os';
import {
  type Sample,
  type ScanOptions,
  type ScanTask,
  type SceneFacts,
  scanScene,
  WorkerPool,
  withoutLabels,
} from '../../data/index.js';
import { checkArguments } from '../../torch/check-arguments.js';
import type { Config } from '../config/config.js';
import { datasetOf, openSources, type Sources, spread } from '../datasets.js';
import { measureModalities } from '../measure.js';
import { checkOptionsShape } from '../rules.js';
import { settle } from '../settle.js';
import { weighClasses } from '../weigh-classes.js';
import { duplicateFindings } from './duplicates.js';
import {
  classFindings,
  fileFindings,
  levelFindings,
  sizeFindings,
  valueFindings,
} from './findings.js';
import { constantFindings, fewFindings } from './little.js';
import { type CheckReport, type Finding, type SplitName, splitNames } from './report.js';
import { splitNamed } from './shared.js';
import { summarise } from './summarise.js';
import { unlikeFindings } from './unlike.js';

/** What `checkData` takes by name. */
export interface CheckOptions {
  config: Config;
  /** Decodes every image, not only headers and labels (false). */
  full?: boolean;
  /** Threads (one a core, at most 8); 0: this one. */
  workers?: number;
  /** Also measures the modalities' means and deviations, and class weights, where they are open (true). */
  measure?: boolean;
  /** Also looks at the list `test`, where there is one (true). */
  test?: boolean;
  onProgress?: (done: number, scenes: number) => void;
  onNote?: (text: string) => void;
  signal?: AbortSignal | undefined;
}

/** Scenes of which a quick check decodes every image, a split: for the ranges of depth. */
const DECODED = 8;

/** A split and what was found in its files, scene by scene. */
export interface ScannedSplit {
  name: SplitName;
  samples: readonly Sample[];
  scenes: readonly SceneFacts[];
}

/**
 * Looks at all data of a configuration before anything is trained: that every file is there and can
 * be read, that sizes and label values fit, which classes occur, and whether splits share scenes.
 *
 * @throws DataError of a list; the signal's reason. What is wrong with files is a finding, not thrown
 */
export async function checkData(options: CheckOptions): Promise<CheckReport> {
  checkArguments('checkData', { options }, { options: checkOptionsShape });

  const { full = false, measure = true, test = true, onNote } = options;
  const started = performance.now();
  const { config, chosen } = await settle(options.config, onNote);
  const sources = await openSources(config, onNote, { test });
  const { classes } = sources;
  const { modalities, labelRule: rule, align, resize } = datasetOf(config, sources.labelled);
  const splits = await scan(sources, { modalities, rule, align, resize }, full, options);
  const findings: Finding[] = [
    ...splits.flatMap((split) => [
      ...fileFindings(split),
      ...valueFindings(split, rule),
      ...classFindings(split, classes, rule),
      ...sizeFindings(split, config),
      ...levelFindings(split, config),
      ...constantFindings(split, config),
    ]),
    ...duplicateFindings(splits),
    ...unlikeFindings(splits, config),
    ...fewFindings(splits),
  ];
  const statistics = measure ? (await measureModalities(config, options)).chosen : [];
  // Labels that cannot be read are told by the findings.
  const countable = measure && findings.every(({ level }) => level !== 'error');
  const weights = countable ? (await weighClasses(config, options)).chosen : [];
  return {
    name: config.name,
    classes,
    splits: Object.fromEntries(
      splitNames.map((name) => {
        const split = splitNamed(splits, name);
        return [name, split ? summarise(split, modalities, classes, rule) : null];
      }),
    ) as CheckReport['splits'],
    findings: findings.sort((a, b) => Number(a.level !== 'error') - Number(b.level !== 'error')),
    chosen: [...chosen, ...statistics, ...weights],
    sheet: null,
    seconds: (performance.now() - started) / 1000,
  };
}

async function scan(
  sources: Sources,
  work: ScanOptions,
  full: boolean,
  { onProgress, signal, workers = Math.min(8, availableParallelism()) }: CheckOptions,
): Promise<ScannedSplit[]> {
  const lists = splitNames.flatMap((name) => {
    const samples = sources[name];
    if (!samples) return [];
    // Training does not look at labels of unlabelled scenes either.
    return [{ name, samples: name === 'unlabelled' ? withoutLabels(samples) : samples }];
  });
  const total = lists.reduce((sum, { samples }) => sum + samples.length, 0);
  const pool =
    workers === 0
      ? null
      : new WorkerPool<ScanTask, SceneFacts>(
          new URL('../../data/scan-worker.js', import.meta.url),
          workers,
          work,
        );
  let done = 0;
  let last: Promise<unknown> = Promise.resolve();
  const run = (task: ScanTask, index: number): Promise<SceneFacts> => {
    if (pool) return pool.run(task, index);
    // One scene after another: thousands of open files are too many.
    const next = last.then(() => scanScene(task, work));
    last = next;
    return next;
  };
  const stop = () => void pool?.close(signal?.reason);
  signal?.addEventListener('abort', stop, { once: true });
  try {
    return await Promise.all(
      lists.map(async ({ name, samples }) => {
        const decoded = new Set(full ? samples : spread(samples, DECODED));
        const scan = async (sample: Sample, index: number) => {
          signal?.throwIfAborted();
          const facts = await run({ sample, decode: decoded.has(sample) }, index);
          onProgress?.(++done, total);
          return facts;
        };
        return { name, samples, scenes: await Promise.all(samples.map(scan)) };
      }),
    );
  } finally {
    signal?.removeEventListener('abort', stop);
    await pool?.close();
  }
}
