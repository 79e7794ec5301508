import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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
      const { evaluateRun } = await import('../../experiment/index.js');
      const { run, end } = await opened(folder, config, set);
      const progress = imageProgress('evaluate');
      const report = await evaluateRun(run, {
        missing,
        subsets,
        fill: options.fill,
        checkpoint: options.checkpoint,
        ...(options.split ? { split: options.split } : {}),
        calibration: options.calibration,
        boundary: options.boundary,
        sets: set,
        onProgress: progress.update,
        onNote: printNote,
      }).finally(() => {
        progress.end();
        end();
      });
      if (json) printJson(report);
      else {
        const { detailTable, reportTable } = await import('../report-table.js');
        printResult(reportTable(report));
        printResult(`\n${detailTable(report)}`);
        printNote(`\n${report.checkpoint}, ${report.images} images.`);
      }
    });
}

/** The run asked for; of weights one that is made for the time. */
async function opened(path: string, config: string | undefined, sets: readonly string[]) {
  const { importWeights, resolveConfig, RunFolder } = await import('../../experiment/index.js');
  const isFile = statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
  if (config === undefined) {
    if (!isFile) return { run: RunFolder.open(path), end: () => {} };
    throw new UsageError(
      `${path} is a file, of whose weights the configuration is needed: m3l evaluate ${path} CONFIG.`,
    );
  }
  if (!isFile) {
    throw new UsageError(
      `${path} is no file of weights, expected one before a configuration. Of a run: m3l evaluate RUN.`,
    );
  }
  const folder = mkdtempSync(join(tmpdir(), 'm3l-weights-'));
  const end = () => rmSync(folder, { recursive: true, force: true });
  try {
    const resolved = resolveConfig(config, sets);
    const run = RunFolder.create(resolved, join(folder, 'run'));
    await importWeights(path, resolved, run, printNote);
    return { run, end };
  } catch (error) {
    end();
    throw error;
  }
}
