import type { Command } from 'commander';
import type { FolderLists } from '../../data/index.js';
import { number, pair, wholeNumber } from '../arguments.js';
import { examples } from '../command-line.js';
import { EXIT, printJson, printNote, printResult } from '../output.js';

interface Options {
  modality?: Record<string, string>;
  label?: string;
  val: number;
  test: number;
  contiguous: boolean;
  seed: number;
  out?: string;
  force: boolean;
  dryRun: boolean;
  json: boolean;
}

/** Scenes without a partner that are told one by one. */
const TOLD = 10;

export function addDataLists(data: Command): void {
  data
    .command('lists')
    .description('make lists, and a configuration of them, of folders of images')
    .argument('<folder>', 'folder with one folder for each modality, and one for labels')
    .option(
      '--modality <name=folder...>',
      'which folders are modalities, in their order (default: all with images)',
      pair,
    )
    .option('--label <folder>', 'the folder of labels (default: the one called so)')
    .option('--val <share>', 'labelled scenes to validate on, if no folder says', number(1), 0.2)
    .option('--test <share>', 'labelled scenes to test on, if no folder says', number(1), 0)
    .option('--contiguous', 'take these from the end, not by chance (frames of a video)', false)
    .option('--seed <seed>', 'of the draw', wholeNumber({ least: 0 }), 1)
    .option('--out <folder>', 'where lists and data.yaml go (default: the folder)')
    .option('--force', 'replace lists that are there', false)
    .option('--dry-run', 'write nothing', false)
    .option('--json', 'print the result as JSON', false)
    .addHelpText(
      'after',
      examples(
        'm3l data lists my-robot',
        'm3l data lists my-robot --modality rgb=left thermal=flir --label masks --val 0.25',
      ),
    )
    .action(async (folder: string, { modality, ...options }: Options) => {
      const { writeFolderLists } = await import('../../data/index.js');
      const made = await writeFolderLists({
        folder,
        ...(modality === undefined ? {} : { modalities: modality }),
        ...options,
      });
      if (options.json) printJson(made);
      else printResult(describe(made, options.dryRun));
      for (const { name, lacks } of made.alone.slice(0, TOLD)) {
        printNote(`left out: ${name} has no ${lacks.join(', no ')}`);
      }
      if (made.alone.length > TOLD) printNote(`… and ${made.alone.length - TOLD} more.`);
      process.exitCode = EXIT.ok;
    });
}

function describe({ modalities, label, lists, config }: FolderLists, dryRun: boolean): string {
  return [
    ...modalities.map(({ name, folder, kind }) => `${name}: ${folder} (${kind})`),
    `labels: ${label ?? 'none found'}`,
    ...Object.entries(lists).map(([name, lines]) => `  ${name}: ${lines}`),
    dryRun
      ? 'Nothing was written.'
      : `${config} says how to read them; look at it: m3l check ${config}`,
  ].join('\n');
}
