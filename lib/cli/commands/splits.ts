import { type Command, InvalidArgumentError } from 'commander';
import type { SplitList } from '../../data/index.js';
import { wholeNumber } from '../arguments.js';
import { examples } from '../command-line.js';
import { printJson, printResult } from '../output.js';
import { createProgress, type Progress } from '../progress.js';

interface Options {
  fractions: number[];
  seed: number;
  stratify: boolean;
  root?: string;
  label?: string;
  void: number[];
  out?: string;
  force: boolean;
  dryRun: boolean;
  json: boolean;
}

export function addSplits(program: Command): void {
  program
    .command('splits')
    .description('split a list into labelled and unlabelled samples: nested fractions')
    .argument('<list>', 'list of labelled samples to train on')
    .option('--fractions <list>', 'of the labels', fractions, [16, 8, 4])
    .option('--seed <seed>', 'the same seed gives the same lists', wholeNumber({ least: 0 }), 1)
    .option('--stratify', 'give every class its share of the labelled samples', false)
    .option('--root <folder>', 'folder that the paths are relative to (default: the list’s)')
    .option('--label <pattern>', 'of a list of bare names, to stratify: label/{name}.png')
    .option('--void <values>', 'stored label values that are no class', values, [255])
    .option('--out <folder>', 'where the lists go (default: beside the list)')
    .option('--force', 'replace lists that are there', false)
    .option('--dry-run', 'write nothing', false)
    .option('--json', 'print the result as JSON', false)
    .addHelpText(
      'after',
      examples(
        'm3l splits data/sun-rgbd/train.txt --fractions 1/16,1/8,1/4',
        'm3l splits my-robot/train_labelled.txt --fractions 1/8 --stratify --void 0,255 --seed 3',
      ),
    )
    .action(async (list: string, options: Options) => {
      const { splitList } = await import('../../data/index.js');
      let progress: Progress | null = null;
      const made = await splitList({
        list,
        ...options,
        onProgress(done, total) {
          progress ??= createProgress({ label: 'labels', total });
          progress.update({ done });
        },
      }).finally(() => (progress as Progress | null)?.end());
      if (options.json) printJson(made);
      else printResult(describe(made));
    });
}

function describe({ samples, fractions: made }: SplitList): string {
  return [
    `${samples} samples`,
    ...made.map(
      ({ denominator, labelled, unlabelled }) =>
        `1/${denominator}: ${labelled.samples} in ${labelled.file}, ${unlabelled.samples} in ${unlabelled.file}`,
    ),
  ].join('\n');
}

/** `1/16,1/8` or `16,8`. */
function fractions(text: string): number[] {
  return text.split(',').map((part) => {
    const denominator = Number(/^\s*(?:1\/)?(\d{1,9})\s*$/.exec(part)?.[1]);
    if (denominator >= 1) return denominator;
    throw new InvalidArgumentError('Expected fractions such as 1/16,1/8,1/4.');
  });
}

function values(text: string): number[] {
  return text.split(',').map(wholeNumber({ least: 0 }));
}
