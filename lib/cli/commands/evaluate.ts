import type { Command } from 'commander';
import { printJson, printNote, printResult, UsageError } from '../output.js';
import { createProgress } from '../progress.js';

interface Options {
  missing?: string[];
  subsets: boolean;
  fill?: string;
  checkpoint: string;
  set: string[];
  json: boolean;
}

const FILLS = ['zeros', 'noise', 'mean'] as const;

export function addEvaluate(program: Command): void {
  program
    .command('evaluate')
    .description('robust mIoU of a run: all modalities, and each one missing')
    .argument('<run>', 'run folder')
    .option('--missing <modality...>', 'only with these modalities missing, all at once')
    .option('--subsets', 'every non-empty set of modalities', false)
    .option('--fill <fill>', `what stands for a missing modality: ${FILLS.join(', ')}`)
    .option('--checkpoint <which>', 'best or latest', 'latest')
    .option('--set <key=value...>', 'override keys of the configuration (data, device)', [])
    .option('--json', 'print the results as JSON', false)
    .action(async (folder: string, options: Options) => {
      const { evaluateRun, RunFolder } = await import('../../experiment/index.js');
      const { missing, subsets, set, json } = options;
      if (missing !== undefined && subsets) {
        throw new UsageError('--missing and --subsets exclude each other: give one of them.');
      }
      const progress = createProgress({ label: 'evaluate', total: 1 });
      let shown = progress;
      let total = 1;
      const report = await evaluateRun(RunFolder.open(folder), {
        missing,
        subsets,
        fill: oneOf('--fill', options.fill, FILLS),
        checkpoint: oneOf('--checkpoint', options.checkpoint, ['best', 'latest'] as const),
        sets: set,
        onProgress(done, images) {
          if (images !== total) {
            total = images;
            shown = createProgress({ label: 'evaluate', total });
          }
          shown.update({ done });
        },
      });
      shown.end();
      if (json) printJson(report);
      else {
        const { detailTable, reportTable } = await import('../report-table.js');
        printResult(reportTable(report));
        printResult(`\n${detailTable(report)}`);
        printNote(`\n${report.checkpoint}, ${report.images} images.`);
      }
    });
}

function oneOf<Value extends string>(
  option: string,
  value: string | undefined,
  known: readonly Value[],
): Value | undefined {
  const found = known.find((entry) => entry === value);
  if (value !== undefined && found === undefined) {
    throw new UsageError(`${option} ${value}: expected ${known.join(', ')}.`);
  }
  return found;
}
