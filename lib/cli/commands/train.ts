import { existsSync, statSync } from 'node:fs';
import type { Command } from 'commander';
import type { Config, EvaluationReport, RunFolder, TrainEvent } from '../../experiment/index.js';
import { EXIT, printJson, printNote, printResult, UsageError } from '../output.js';
import { createProgress, duration, type Progress } from '../progress.js';

interface Options {
  set: string[];
  out?: string;
  resume?: string | true;
  json: boolean;
}

export function addTrain(program: Command): void {
  program
    .command('train')
    .description('train a model as a YAML configuration says; Ctrl-C saves and stops')
    .argument('[config]', 'configuration file (not needed with --resume)')
    .option('--set <key=value...>', 'override keys of the configuration', [])
    .option('--out <folder>', 'run folder (default: runs/NAME-TIME)')
    .option('--resume [run]', 'go on with a run: its folder, --out’s, or the newest in runs/')
    .option('--json', 'print the results as JSON', false)
    .action(async (file: string | undefined, options: Options) => {
      const { train } = await import('../../experiment/index.js');
      const { run, config, resumed } = await openRun(file, options);
      const interruption = listenForInterruption();
      const follow = follower(config);
      try {
        const summary = await train({
          config,
          run,
          resume: resumed,
          signal: interruption.signal,
          onEvent: follow.onEvent,
        });
        follow.end();
        if (options.json) printJson(summary);
        else {
          const { reportTable } = await import('../report-table.js');
          printResult(reportTable(summary.evaluation));
          printNote(`\nTrained in ${duration(summary.seconds)}.`);
          if (summary.samples !== null) printNote(`Contact sheet: ${summary.samples}`);
          printNote(`Run: ${run.path}`);
        }
      } finally {
        follow.end();
        interruption.stop();
      }
    });
}

async function openRun(file: string | undefined, { set, out, resume }: Options) {
  const { resolveConfig, resumeConfig, RunFolder } = await import('../../experiment/index.js');
  if (resume === undefined) {
    if (file === undefined) {
      throw new UsageError('Give a configuration: m3l train CONFIG.yaml, or go on with --resume.');
    }
    const config = resolveConfig(file, set);
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
  return { run, config: resumeConfig(run, wanted, set), resumed: true };
}

/** The first signal asks training to finish its step and save; the second ends the process. */
function listenForInterruption(): { signal: AbortSignal; stop(): void } {
  const controller = new AbortController();
  const interrupt = () => {
    if (controller.signal.aborted) process.exit(EXIT.interrupted);
    printNote('\nFinishing the step and saving; once more to stop at once.');
    controller.abort();
  };
  process.on('SIGINT', interrupt);
  process.on('SIGTERM', interrupt);
  return {
    signal: controller.signal,
    stop() {
      process.off('SIGINT', interrupt);
      process.off('SIGTERM', interrupt);
    },
  };
}

function follower(config: Config): { onEvent(event: TrainEvent): void; end(): void } {
  let progress: Progress | null = null;
  let report: EvaluationReport | null = null;
  return {
    onEvent(event) {
      switch (event.kind) {
        case 'note':
          if (progress === null) printNote(event.text);
          else progress.note(event.text);
          break;
        case 'start':
          progress = createProgress({
            label: config.framework.name,
            total: config.iterations,
            started: event.iteration,
          });
          break;
        case 'step':
          progress?.update({
            done: event.iteration,
            loss: event.loss,
            imagesPerSecond: event.imagesPerSecond,
            meanIoU: report?.robustMeanIoU,
          });
          break;
        case 'evaluation':
          report = event.report;
          break;
      }
    },
    end() {
      progress?.end();
      progress = null;
    },
  };
}
