import { existsSync, statSync } from 'node:fs';
import type { Command } from 'commander';
import type { RunFolder } from '../../experiment/index.js';
import { examples } from '../command-line.js';
import { listenForInterruption } from '../interruption.js';
import { printJson, printNote, printResult, UsageError } from '../output.js';
import { duration } from '../progress.js';
import { trainingProgress } from '../training-progress.js';

interface Options {
  set: string[];
  out?: string;
  resume?: string | true;
  check: boolean;
  json: boolean;
}

export function addTrain(program: Command): void {
  program
    .command('train')
    .description('train a model as a YAML configuration says; Ctrl-C saves and stops')
    .argument(
      '[config]',
      'configuration file, or the name of one of the package; not needed with --resume',
    )
    .option('--set <key=value...>', 'override keys of the configuration', [])
    .option('--out <folder>', 'run folder (default: runs/NAME-TIME)')
    .option('--resume [run]', 'go on with a run: its folder, --out’s, or the newest in runs/')
    .option('--no-check', 'do not look at all data first (see m3l check)')
    .option('--json', 'print the results as JSON', false)
    .addHelpText(
      'after',
      examples(
        'm3l train rooms-demo',
        'm3l train my.yaml --set framework=supervised seed=2 --out runs/supervised-2',
        'm3l train --resume runs/supervised-2',
      ),
    )
    .action(async (file: string | undefined, options: Options) => {
      const { train } = await import('../../experiment/index.js');
      const { run, config, resumed } = await openRun(file, options);
      const interruption = listenForInterruption();
      const progress = trainingProgress({ label: config.framework.name });
      try {
        const summary = await train({
          config,
          run,
          resume: resumed,
          check: options.check,
          signal: interruption.signal,
          onEvent: progress.onEvent,
        });
        progress.end();
        if (options.json) printJson(summary);
        else {
          const { reportTable } = await import('../report-table.js');
          printResult(reportTable(summary.evaluation));
          printNote(`\nTrained in ${duration(summary.seconds)}.`);
          if (summary.samples !== null) printNote(`Contact sheet: ${summary.samples}`);
          printNote(`Run: ${run.path}`);
        }
      } finally {
        progress.end();
        interruption.stop();
      }
    });
}

async function openRun(file: string | undefined, { set, out, resume }: Options) {
  const { requireDataRoot, resolveConfig, resumeConfig, RunFolder } = await import(
    '../../experiment/index.js'
  );
  if (resume === undefined) {
    if (file === undefined) {
      throw new UsageError('Give a configuration: m3l train CONFIG.yaml, or go on with --resume.');
    }
    const config = resolveConfig(file, set);
    requireDataRoot(config);
    return { run: RunFolder.create(config, out), config, resumed: false };
  }
  if (typeof resume === 'string' && existsSync(resume) && statSync(resume).isFile()) {
    throw new UsageError(
      `--resume ${resume}: expected a run folder. Put the configuration first: m3l train ${resume} --resume`,
    );
  }
  const folder = resume === true ? out : resume;
  const wanted = file === undefined ? undefined : resolveConfig(file, set);
  const run: RunFolder =
    folder === undefined ? RunFolder.newest(wanted?.name) : RunFolder.open(folder);
  const { config, notes } = resumeConfig(run, wanted, set);
  requireDataRoot(config);
  for (const note of notes) printNote(note);
  return { run, config, resumed: true };
}
