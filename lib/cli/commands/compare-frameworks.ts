import { basename, extname } from 'node:path';
import type { Command } from 'commander';
import type { FrameworkName } from '../../learning/index.js';
import { FILLS, type Fill } from '../../models/missing-modalities/fills.js';
import { seeds, someOf, words } from '../arguments.js';
import { examples } from '../command-line.js';
import { compareProgress } from '../compare-progress.js';
import { listenForInterruption } from '../interruption.js';
import { printJson, printNote, printResult } from '../output.js';
import { duration } from '../progress.js';

interface Options {
  frameworks?: string[];
  seeds: number[];
  fills?: Fill[];
  set: string[];
  out?: string;
  json: boolean;
}

const FRAMEWORKS = ['supervised', 'm3l'] as const satisfies readonly FrameworkName[];

export function addCompareFrameworks(program: Command): void {
  program
    .command('compare-frameworks')
    .description(
      'train frameworks on one configuration from the same seeds and compare their robust mIoU; ' +
        'Ctrl-C saves and stops',
    )
    .argument('<config>', 'configuration file, or the name of one of the package (rooms-demo)')
    .option(
      '--frameworks <names...>',
      `which, separated by commas, baselines first (default: ${FRAMEWORKS.join()})`,
      words,
    )
    .option(
      '--seeds <count|seeds>',
      'how many (3: the seeds 1, 2 and 3), or which (11,12,13; a single one: 11,)',
      seeds,
      [1, 2, 3],
    )
    .option(
      '--fills <fills...>',
      `what to try for a missing modality where there is no mask token (default: ${FILLS.join()})`,
      someOf(FILLS),
    )
    .option('--set <key=value...>', 'override keys of the configuration', [])
    .option(
      '--out <folder>',
      'where the runs go; what it holds already is gone on with (default: runs/compare-NAME-TIME)',
    )
    .option('--json', 'print the comparison as JSON', false)
    .addHelpText(
      'after',
      examples(
        'm3l compare-frameworks rooms-demo',
        'm3l compare-frameworks my.yaml --frameworks supervised,mean-teacher,m3l --seeds 11,12,13',
        'm3l compare-frameworks my.yaml --set iterations=500 batch.labelled=4 --out runs/short',
      ),
    )
    .action(async (config: string, options: Options) => {
      const { compareFrameworks, freshName } = await import('../../experiment/index.js');
      const { frameworks = FRAMEWORKS, fills, set, json } = options;
      const folder = options.out ?? freshName(`compare-${basename(config, extname(config))}`);
      const started = Date.now();
      const interruption = listenForInterruption();
      const progress = compareProgress();
      try {
        const comparison = await compareFrameworks({
          config,
          // Checked there, before anything runs.
          frameworks: frameworks as readonly FrameworkName[],
          seeds: options.seeds,
          fills,
          sets: set,
          folder,
          signal: interruption.signal,
          onEvent: progress.onEvent,
        });
        progress.end();
        if (json) printJson(comparison);
        else {
          const { comparisonTable, gainLines, seedTable } = await import('../comparison-table.js');
          printResult(comparisonTable(comparison));
          if (comparison.seeds.length > 1) printResult(`\n${seedTable(comparison)}`);
          const gains = gainLines(comparison);
          if (gains.length > 0) printResult(`\n${gains.join('\n')}`);
        }
        printNote(`\n${duration((Date.now() - started) / 1000)} in all. Runs: ${folder}`);
      } finally {
        progress.end();
        interruption.stop();
      }
    });
}
