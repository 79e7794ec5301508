import type { Command } from 'commander';
import type { Prepared } from '../../data/index.js';
import type { CheckReport } from '../../experiment/index.js';
import { wholeNumber } from '../arguments.js';
import { examples } from '../command-line.js';
import { listenForInterruption } from '../interruption.js';
import { EXIT, printJson, printNote, printResult } from '../output.js';
import { createProgress, type Progress } from '../progress.js';
import { line } from './check.js';
import { addDataLists } from './data-lists.js';

interface Options {
  copy: boolean;
  seed: number;
  workers: number;
  dryRun: boolean;
  check: boolean;
  json: boolean;
}

/** Problems that are told one by one. */
const TOLD = 10;

export function addData(program: Command): void {
  const data = program.command('data').description('bring data into the form that training reads');
  addDataSets(data);
  addDataPrepare(data);
  addDataLists(data);
}

function addDataSets(data: Command): void {
  data
    .command('sets')
    .description('name the data sets that can be prepared, and how their raw folders lie')
    .option('--json', 'print them as JSON', false)
    .action(async ({ json }: { json: boolean }) => {
      const { DATA_SETS } = await import('../../data/index.js');
      const sets = Object.entries(DATA_SETS).map(([name, { title, layout, config }]) => ({
        ...{ name, title, layout, config },
      }));
      if (json) printJson(sets);
      else {
        const lines = sets.map(({ name, title, layout }) =>
          [`${name}: ${title}`, ...layout.map((each) => `  ${each}`)].join('\n'),
        );
        printResult(lines.join('\n\n'));
      }
    });
}

function addDataPrepare(data: Command): void {
  data
    .command('prepare')
    .description('prepare a known data set from its raw folder; a second call goes on')
    .argument('<set>', 'its name: see m3l data sets')
    .argument('<raw>', 'folder of the data set as it was downloaded; only read')
    .argument('<out>', 'folder to make')
    .option('--copy', 'copy files that stay as they are, instead of linking them', false)
    .option('--seed <seed>', 'of the fractions and draws', wholeNumber({ least: 0 }), 1)
    .option('--workers <count>', 'scenes worked on at a time', wholeNumber({ most: 64 }), 4)
    .option('--dry-run', 'tell what would be made', false)
    .option('--no-check', 'do not look at all labels afterwards (see m3l check)')
    .option('--json', 'print the result as JSON', false)
    .addHelpText(
      'after',
      examples(
        'm3l data prepare sun-rgbd ~/downloads/sunrgbd data/sun-rgbd',
        'm3l train sun-rgbd --set data.root=data/sun-rgbd',
      ),
    )
    .action(async (set: string, raw: string, out: string, options: Options) => {
      const { prepareDataSet } = await import('../../data/index.js');
      const { M3lError } = await import('../../torch/errors.js');
      const interruption = listenForInterruption({
        note: '\nFinishing the scenes under way; the same command goes on from there.',
        reason: () =>
          new M3lError('M3L_INTERRUPTED', 'Interrupted. The same command goes on from here.'),
      });
      let progress: Progress | null = null;
      let prepared: Prepared;
      try {
        prepared = await prepareDataSet({
          ...{ set, raw, out },
          ...{ copy: options.copy, seed: options.seed, parallel: options.workers },
          dryRun: options.dryRun,
          signal: interruption.signal,
          onProgress(done, total) {
            progress ??= createProgress({ label: set, total });
            progress.update({ done });
          },
        });
      } finally {
        (progress as Progress | null)?.end();
        interruption.stop();
      }
      const report = options.check && !options.dryRun ? await check(prepared) : null;
      if (options.json) printJson({ ...prepared, check: report?.findings ?? null });
      else printResult(describe(prepared, options.dryRun));
      if (report !== null && !options.json) {
        for (const finding of report.findings) printNote(line(finding));
      }
      const failed =
        prepared.problems.length > 0 || report?.findings.some(({ level }) => level === 'error');
      process.exitCode = failed ? EXIT.failure : EXIT.ok;
    });
}

/** Looks at what was made through the configuration that reads it. */
async function check({ config: name, out }: Prepared): Promise<CheckReport> {
  const { checkData, resolveConfig } = await import('../../experiment/index.js');
  const config = resolveConfig(name, [`data.root=${JSON.stringify(out)}`]);
  let progress: Progress | null = null;
  const report = await checkData({
    config,
    measure: false,
    onProgress(done, total) {
      progress ??= createProgress({ label: 'check', total });
      progress.update({ done });
    },
  });
  (progress as Progress | null)?.end();
  return report;
}

function describe(prepared: Prepared, dryRun: boolean): string {
  const { out, config, scenes, made, kept, lists, notes, problems } = prepared;
  const name = config.replace(/^data\//, '');
  return [
    `${out}: ${scenes.train} scenes to train on, ${scenes.val} to validate on, ${scenes.test} to test on.`,
    ...(dryRun ? ['Nothing was written.'] : [`${made} files made, ${kept} there already.`]),
    ...Object.entries(lists).map(([list, lines]) => `  ${list}: ${lines}`),
    ...notes,
    ...problems.slice(0, TOLD).map(({ scene, message }) => `left out: ${scene}: ${message}`),
    ...(problems.length > TOLD ? [`… and ${problems.length - TOLD} scenes more.`] : []),
    ...(dryRun ? [] : [`Train on it: m3l train ${name} --set data.root=${out}`]),
  ].join('\n');
}
