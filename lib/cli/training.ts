import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import type { Config, RunFolder, TrainOptions, TrainSummary } from '../experiment/index.js';
import type { distributed } from '../torch/index.js';
import { wholeNumber } from './arguments.js';
import { listenForInterruption } from './interruption.js';
import { isOneOfSeveral, joinProcesses, requireNotStarted, tells } from './join-processes.js';
import { heedLauncher, launchProcesses } from './launch.js';
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
  nproc?: number;
  timeout: number;
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
    .option(
      '--resume [run]',
      'go on with a run: its folder, --out’s (begun where there is none), or the newest in runs/',
    )
    .option('--no-check', 'do not look at all data first (see m3l check)')
    .option(
      '--nproc <n>',
      'train in so many processes of this machine, each on its part of every batch (docs/distributed.md)',
      wholeNumber({ most: 1024 }),
    )
    .option(
      '--timeout <seconds>',
      'of several processes: how long one waits for the others',
      wholeNumber({ most: 86_400 }),
      600,
    )
    .option('--json', 'print the results as JSON', false);
}

/**
 * Opens the run, and trains it with its progress shown and Ctrl-C heeded. Null: other processes have done
 * so, and the first of them tells.
 */
export async function runTraining<Summary extends TrainSummary>(
  command: string,
  file: string | undefined,
  options: TrainingOptions,
  work: (options: TrainOptions) => Promise<Summary>,
): Promise<Summary | null> {
  if (options.nproc !== undefined) {
    requireNotStarted(options.nproc);
    if (options.nproc > 1) {
      process.exitCode = await launchProcesses(options.nproc);
      return null;
    }
  }
  heedLauncher();
  const interruption = listenForInterruption(tells() ? {} : { note: null });
  const { run, config, resumed, group } = await openTogether(command, file, options);
  const progress = trainingProgress({ label: config.framework.name });
  try {
    const summary = await work({
      config,
      run,
      resume: resumed,
      check: options.check,
      signal: interruption.signal,
      onEvent: tells() ? progress.onEvent : () => {},
      ...(group === null ? {} : { group }),
    });
    return tells() ? summary : null;
  } finally {
    progress.end();
    interruption.stop();
  }
}

/** The run as `openRun` gives it; of several processes the first opens it for all. */
async function openTogether(
  command: string,
  file: string | undefined,
  options: TrainingOptions,
): Promise<Opened & { group: distributed.ProcessGroup | null }> {
  const { resolveConfig, RunFolder } = await import('../experiment/index.js');
  const { fromFirst, requireSameConfig } = await import('../experiment/processes.js');
  // What is wrong with it is better told before others are waited for.
  const own = file === undefined || !isOneOfSeveral() ? null : resolveConfig(file, options.set);
  const group = await joinProcesses(own?.device, options.timeout);
  if (group === null) return { ...(await openRun(command, file, options)), group };
  requireSameConfig(group, own);
  let opened: Opened | null = null;
  const { path, config, resumed } = await fromFirst(group, async () => {
    opened = await openRun(command, file, options);
    return { path: opened.run.path, config: opened.config, resumed: opened.resumed };
  });
  if (opened !== null) return { ...(opened as Opened), group };
  return { run: RunFolder.elsewhere(path), config: own ?? config, resumed, group };
}

interface Opened {
  run: RunFolder;
  config: Config;
  resumed: boolean;
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
): Promise<Opened> {
  const { requireDataRoot, resolveConfig, resumeConfig, RunFolder } = await import(
    '../experiment/index.js'
  );
  const begins =
    resume === true &&
    file !== undefined &&
    out !== undefined &&
    !existsSync(join(out, 'config.yaml'));
  if (resume === undefined || begins) {
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
