import type { Command } from 'commander';
import { choicesText } from '../../experiment/choices-text.js';
import type { CheckReport, Finding } from '../../experiment/index.js';
import { wholeNumber } from '../arguments.js';
import { EXIT, printJson, printNote, printResult } from '../output.js';
import { createProgress, type Progress } from '../progress.js';
import { formatTable, percent } from '../table.js';

interface Options {
  set: string[];
  full: boolean;
  sheet?: string;
  workers?: number;
  json: boolean;
}

export function addCheck(program: Command): void {
  program
    .command('check')
    .description('look at all data of a configuration before training; exit code 1 for errors')
    .argument('<config>', 'configuration file, or the name of one of the package (rooms-demo)')
    .option('--set <key=value...>', 'override keys of the configuration', [])
    .option('--full', 'decode every image, not only headers and labels', false)
    .option('--sheet <png>', 'draw a contact sheet: modalities and labels of some scenes')
    .option(
      '--workers <count>',
      'threads (default: one a core, at most 8)',
      wholeNumber({ least: 0, most: 64 }),
    )
    .option('--json', 'print the report as JSON', false)
    .addHelpText(
      'after',
      '\nExamples:\n  m3l check my-robot.yaml\n  m3l check my-robot.yaml --full --sheet scenes.png',
    )
    .action(async (file: string, options: Options) => {
      const { checkData, checkSheet, drawSheet, resolveConfig } = await import(
        '../../experiment/index.js'
      );
      if (options.sheet !== undefined) checkSheet(options.sheet);
      const config = resolveConfig(file, options.set);
      let progress: Progress | null = null;
      const report = await checkData({
        config,
        full: options.full,
        ...(options.workers === undefined ? {} : { workers: options.workers }),
        onNote: printNote,
        onProgress(done, scenes) {
          progress ??= createProgress({ label: 'check', total: scenes });
          progress.update({ done });
        },
      });
      (progress as Progress | null)?.end();
      if (options.sheet !== undefined) report.sheet = await drawSheet(config, options.sheet);
      if (options.json) printJson(report);
      else printResult(describe(report));
      const failed = report.findings.some(({ level }) => level === 'error');
      process.exitCode = failed ? EXIT.failure : EXIT.ok;
    });
}

function describe(report: CheckReport): string {
  const splits = Object.entries(report.splits).flatMap(([name, split]) =>
    split === null ? [] : [{ name, ...split }],
  );
  const overview = formatTable(
    ['split', 'scenes', 'usable', 'sizes'],
    splits.map(({ name, scenes, usable, sizes }) => {
      const [first, ...others] = sizes.map(({ width, height }) => `${width} × ${height}`);
      const shown = others.length === 0 ? first : `${first} and ${others.length} more`;
      return [name, `${scenes}`, `${usable}`, shown ?? '–'];
    }),
  );
  const stored = formatTable(
    ['modality', 'stored as', 'raw values'],
    splits.flatMap(({ name: split, modalities }) =>
      modalities.map(({ name, stored, range }) => [
        `${split} ${name}`,
        stored
          .map(({ form, files }) => (stored.length === 1 ? form : `${form} (${files})`))
          .join('; '),
        range === null ? '–' : `${rounded(range.least)} to ${rounded(range.greatest)}`,
      ]),
    ),
  );
  const labelled = splits.flatMap(({ name, labels }) =>
    labels === null ? [] : [{ name, labels }],
  );
  const classes = formatTable(
    ['class', ...labelled.map(({ name }) => `% of ${name}`), 'scenes'],
    [
      ...report.classes.map((name, index) => [
        name,
        ...labelled.map(({ labels }) => percent(labels.classes[index]!.pixels / labels.pixels)),
        labelled.map(({ labels }) => labels.classes[index]!.scenes).join(' + '),
      ]),
      ['void', ...labelled.map(({ labels }) => percent(labels.void / labels.pixels)), ''],
    ],
  );
  const { findings, chosen, sheet, seconds } = report;
  const scenes = splits.reduce((sum, split) => sum + split.scenes, 0);
  const speed = `${scenes} scenes in ${seconds.toFixed(1)} s`;
  return [
    overview,
    stored,
    ...(labelled.length === 0 ? [] : [classes]),
    ...(chosen.length === 0 ? [] : [choicesText(chosen)]),
    findings.length === 0 ? 'Nothing found that is in the way.' : findings.map(line).join('\n'),
    sheet === null ? speed : `${speed}. Contact sheet: ${sheet}`,
  ].join('\n\n');
}

/** One finding as a line. */
export function line({ level, split, message, code }: Finding): string {
  return `${level}${split === null ? '' : ` in ${split}`}: ${message} [${code}]`;
}

function rounded(value: number): string {
  return Number.isInteger(value) ? `${value}` : value.toPrecision(4);
}
