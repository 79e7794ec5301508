import type { Command } from 'commander';
import { EVALUATION_SPLITS, type EvaluationSplit } from '../../experiment/evaluation-splits.js';
import { CHECKPOINTS, oneOf, wholeNumber, words } from '../arguments.js';
import { examples } from '../command-line.js';
import { printJson, printNote, printResult } from '../output.js';
import { formatTable, percent } from '../table.js';
import { imageProgress } from '../training-progress.js';

interface Options {
  kinds?: string[];
  levels: number;
  split: EvaluationSplit;
  checkpoint: (typeof CHECKPOINTS)[number];
  out?: string;
  set: string[];
  json: boolean;
}

export function addRobustness(program: Command): void {
  program
    .command('robustness')
    .description('curves of a run’s mIoU as its inputs get worse')
    .argument('<run>', 'run folder')
    .option(
      '--kinds <corruption...>',
      'masked-tokens, depth-noise, depth-holes, misalignment, darkness, fog (default: all that apply)',
      words,
    )
    .option('--levels <count>', 'severities beside 0', wholeNumber({ most: 100 }), 5)
    .option('--split <list>', EVALUATION_SPLITS.join(' or '), oneOf(EVALUATION_SPLITS), 'val')
    .option('--checkpoint <which>', CHECKPOINTS.join(' or '), oneOf(CHECKPOINTS), 'latest')
    .option('--out <png>', 'where to draw the curves (default: robustness.png in the run folder)')
    .option('--set <key=value...>', 'override keys of the configuration (data, device)', [])
    .option('--json', 'print the results as JSON', false)
    .addHelpText(
      'after',
      examples(
        'm3l robustness runs/potholes-20260101-120000',
        'm3l robustness RUN --kinds darkness,fog --levels 10 --split test',
      ),
    )
    .action(async (folder: string, { set: sets, json, ...options }: Options) => {
      const { measureRobustness, RunFolder } = await import('../../experiment/index.js');
      const progress = imageProgress('robustness');
      const report = await measureRobustness(RunFolder.open(folder), {
        ...options,
        sets,
        onProgress: progress.update,
        onNote: printNote,
      }).finally(progress.end);
      if (json) {
        printJson(report);
        return;
      }
      const { curves } = report;
      const severities = curves[0]?.points.map(({ severity }) => severity.toFixed(2)) ?? [];
      const rows = curves.map(({ corruption, modalities, points }) => [
        `${corruption} of ${modalities.join(', ')}`,
        ...points.map(({ meanIoU }) => percent(meanIoU)),
      ]);
      printResult(formatTable(['mIoU at severity', ...severities], rows));
      printNote(`\n${report.checkpoint}, ${report.images} images. Curves: ${report.picture}`);
    });
}
