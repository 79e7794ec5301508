import { statSync } from 'node:fs';
import type { Command } from 'commander';
import { EVALUATION_SPLITS, type EvaluationSplit } from '../../experiment/evaluation-splits.js';
import { FILLS, type Fill } from '../../models/missing-modalities/fills.js';
import { CHECKPOINTS, oneOf, words } from '../arguments.js';
import { examples } from '../command-line.js';
import { printJson, printNote, printResult, UsageError } from '../output.js';
import { imageProgress } from '../training-progress.js';

interface Options {
  missing?: string[];
  subsets: boolean;
  fill?: Fill;
  split?: EvaluationSplit;
  calibration: boolean;
  boundary: boolean;
  checkpoint: (typeof CHECKPOINTS)[number];
  set: string[];
  json: boolean;
}

export function addEvaluate(program: Command): void {
  program
    .command('evaluate')
    .description('robust mIoU of a run: all modalities, and each one missing')
    .argument('<run>', "run folder, or a file of others' weights (.pth, safetensors)")
    .argument('[config]', 'of weights: the configuration of their model and data')
    .option('--missing <modality...>', 'only with these modalities missing, all at once', words)
    .option('--subsets', 'every non-empty set of modalities', false)
    .option(
      '--fill <fill>',
      `what stands for a missing modality where there is no mask token: ${FILLS.join(', ')}`,
      oneOf(FILLS),
    )
    .option(
      '--split <list>',
      `the list to evaluate: ${EVALUATION_SPLITS.join(' or ')} (default: val)`,
      oneOf(EVALUATION_SPLITS),
    )
    .option('--calibration', 'also how far it is as often right as it is sure', false)
    .option('--boundary', 'also the IoU of the classes’ boundaries', false)
    .option('--checkpoint <which>', CHECKPOINTS.join(' or '), oneOf(CHECKPOINTS), 'latest')
    .option('--set <key=value...>', 'override keys of the configuration (data, device)', [])
    .option('--json', 'print the results as JSON', false)
    .addHelpText(
      'after',
      examples(
        'm3l evaluate runs/potholes-20260101-120000',
        'm3l evaluate RUN --missing depth --checkpoint best',
        'm3l evaluate RUN --split test --calibration --boundary',
        'm3l evaluate RUN --subsets --fill noise --json',
        'm3l evaluate authors.pth stanford-indoor --set data.root=/data/stanford-indoor',
      ),
    )
    .action(async (folder: string, config: string | undefined, options: Options) => {
      const { missing, subsets, set, json } = options;
      if (missing !== undefined && subsets) {
        throw new UsageError('--missing and --subsets exclude each other: give one of them.');
      }
      const { evaluateRun, evaluateWeights, resolveConfig, RunFolder } = await import(
        '../../experiment/index.js'
      );
      requireKind(folder, config);
      const progress = imageProgress('evaluate');
      const asked = {
        missing,
        subsets,
        fill: options.fill,
        ...(options.split ? { split: options.split } : {}),
        calibration: options.calibration,
        boundary: options.boundary,
        onProgress: progress.update,
        onNote: printNote,
      };
      const { checkpoint } = options;
      const report = await (config === undefined
        ? evaluateRun(RunFolder.open(folder), { ...asked, checkpoint, sets: set })
        : evaluateWeights(folder, resolveConfig(config, set), asked)
      ).finally(progress.end);
      if (json) printJson(report);
      else {
        const { detailTable, reportTable } = await import('../report-table.js');
        printResult(reportTable(report));
        printResult(`\n${detailTable(report)}`);
        printNote(`\n${report.checkpoint}, ${report.images} images.`);
      }
    });
}

/** A folder stands alone, a file of weights before the configuration of its model. */
function requireKind(path: string, config: string | undefined): void {
  const isFile = statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
  if (isFile === (config !== undefined)) return;
  throw new UsageError(
    isFile
      ? `${path} is a file, of whose weights the configuration is needed: m3l evaluate ${path} CONFIG.`
      : `${path} is no file of weights, expected one before a configuration. Of a run: m3l evaluate RUN.`,
  );
}
