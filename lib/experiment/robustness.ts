import { dirname, join, resolve } from 'node:path';
import { type CurvesResult, curvesPicture, evaluateCurves, viewsOf } from '../evaluation/index.js';
import { makeFolder, writeFileAtomic } from '../torch/atomic-write.js';
import { checkArguments } from '../torch/check-arguments.js';
import * as is from '../torch/rules.js';
import { openDatasets } from './datasets.js';
import { asksForDevice } from './device.js';
import { requireCheckpoint } from './evaluate.js';
import type { EvaluationSplit } from './evaluation-splits.js';
import { answering, disposeNetworks, loadNetworks, prepareTorch } from './networks.js';
import { checkSheet } from './picture-file.js';
import { runFolderShape } from './rules.js';
import type { RunFolder } from './run-folder.js';
import { sizingOf } from './sizing.js';

/** What a run's robustness curves are; plain JSON. */
export interface RobustnessReport extends CurvesResult {
  framework: string;
  /** The network whose ensemble it is. */
  model: string;
  checkpoint: string;
  /** Iterations trained. */
  iteration: number;
  split: EvaluationSplit;
  /** Where they are drawn. */
  picture: string;
}

/** What `measureRobustness` takes by name. */
export interface RobustnessOptions {
  /** Names of corruptions (all that the run allows). */
  kinds?: readonly string[] | undefined;
  /** Severities beside 0 (5). */
  levels?: number | undefined;
  split?: EvaluationSplit | undefined;
  checkpoint?: 'best' | 'latest' | undefined;
  /** `key=value` overrides of the run's configuration. */
  sets?: readonly string[];
  /** Where to draw the curves (`robustness.png` in the run folder). */
  out?: string | undefined;
  onProgress?: (done: number, images: number) => void;
  onNote?: (text: string) => void;
  signal?: AbortSignal;
}

/**
 * Measures and draws how the headline network of a run falls off as its inputs get worse. The run folder
 * gets the report as `robustness.json`.
 *
 * @throws EvaluationError M3L_CORRUPTION; PictureError; CheckpointError as `evaluateRun`
 */
export async function measureRobustness(
  run: RunFolder,
  options: RobustnessOptions = {},
): Promise<RobustnessReport> {
  checkArguments(
    'measureRobustness',
    { run, options },
    { run: runFolderShape, options: is.record },
  );
  const { kinds, levels, split = 'val', onProgress, onNote, signal } = options;
  if (options.out !== undefined) checkSheet(options.out, 'curves');
  const asked = asksForDevice(options.sets);
  const config = prepareTorch(run.config(options.sets), onNote, { asked });
  const checkpoint = requireCheckpoint(run, options.checkpoint ?? 'latest');
  const datasets = await openDatasets(config, onNote, { split });
  try {
    const { networks, iteration } = loadNetworks(checkpoint, config, datasets.classes.length);
    try {
      const { name, model } = answering(config, networks);
      const result = await evaluateCurves({
        model,
        specs: datasets.specs,
        batches: datasets.validation(),
        kinds,
        levels,
        fill: config.evaluate.fill,
        seed: config.seed,
        alignCorners: sizingOf(config).alignCorners,
        ...viewsOf(config.evaluate),
        onProgress: (done) => onProgress?.(done, datasets.validationImages),
        signal,
      });
      const picture = options.out ?? join(run.path, 'robustness.png');
      makeFolder(dirname(resolve(picture)));
      writeFileAtomic(picture, await curvesPicture(result.curves));
      const { name: framework } = config.framework;
      const report = { framework, model: name, checkpoint, iteration, split, picture, ...result };
      // Beside the run, for whoever draws the curves anew (m3l view).
      writeFileAtomic(run.robustnessFile, `${JSON.stringify(report, null, 2)}\n`);
      return report;
    } finally {
      disposeNetworks(networks);
    }
  } finally {
    await datasets.close();
  }
}
