import { existsSync, statSync } from 'node:fs';
import type { Command } from 'commander';
import type { RunFolder, TrainOptions, TrainSummary } from '../experiment/index.js';
import { listenForInterruption } from './interruption.js';
import { printNote, printResult, UsageError } from './output.js';
import { duration } from './progress.js';
import { trainingProgress } from './training-progress.js';

/** What every command that trains is told. */
export interface TrainingOptions {
  set: string[];
  out?: string;
  resume?: string | true;
  check: boolean;
  json: boolean;
}

/** The argument and the options of a command that trains. */
export function takeTrainingOptions(command: Command): Command {
  return command
    .argument(
      '[config]',
      'configuration file, or the name of one of the package; not needed with --resume',
    )
    .option('--set <key=value...>', 'override keys of the configuration', [])
    .option('--out <folder>', 'run folder (default: runs/NAME-TIME)')
    .option('--resume [run]', 'go on with a run: its folder, --out’s, or the newest in runs/')
    .option('--no-check', 'do not look at all data first (see m3l check)')
    .option('--json', 'print the results as JSON', false);
}

/** Opens the run, and trains it with its progress shown and Ctrl-C heeded. */
export async function runTraining<Summary extends TrainSummary>(
  command: string,
  file: string | undefined,
  options: TrainingOptions,
  work: (options: TrainOptions) => Promise<Summary>,
): Promise<Summary> {
  const { run, config, resumed } = await openRun(command, file, options);
  const interruption = listenForInterruption();
  const progress = trainingProgress({ label: config.framework.name });
  try {
    return await work({
      config,
      run,
      resume: resumed,
      check: options.check,
      signal: interruption.signal,
      onEvent: progress.onEvent,
    });
  } finally {
    progress.end();
    interruption.stop();
  }
}

/** What a training came to, for people. */
export async function printTraining(summary: TrainSummary): Promise<void> {
  const { reportTable } = await import('./report-table.js');
  printResult(reportTable(summary.evaluation));
  printNote(`\nTrained in ${duration(summary.seconds)}.`);
  if (summary.samples !== null) printNote(`Contact sheet: ${summary.samples}`);
  printNote(`Run: ${summary.run}`);
}

async function openRun(
  command: string,
  file: string | undefined,
  { set, out, resume }: TrainingOptions,
) {
  const { requireDataRoot, resolveConfig, resumeConfig, RunFolder } = await import(
    '../experiment/index.js'
  );
  if (resume === undefined) {
    if (file === undefined) {
      throw new UsageError(
        `Give a configuration: m3l ${command} CONFIG.yaml, or go on with --resume.`,
      );
    }
    const config = resolveConfig(file, set);
    requireDataRoot(config);
    return { run: RunFolder.create(config, out), config, resumed: false };
  }
  if (typeof resume === 'string' && existsSync(resume) && statSync(resume).isFile()) {
    throw new UsageError(
      `--resume ${resume}: expected a run folder. Put the configuration first: m3l ${command} ${resume} --resume`,
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
