import type { Command } from 'commander';
import type { BenchmarkEvent } from '../../experiment/index.js';
import { seeds, wholeNumber, words } from '../arguments.js';
import { examples } from '../command-line.js';
import { listenForInterruption } from '../interruption.js';
import { isOneOfSeveral, tells } from '../join-processes.js';
import { EXIT, printJson, printNote, printResult, UsageError } from '../output.js';
import { duration } from '../progress.js';

interface Options {
  out?: string;
  seeds?: number[];
  only?: string[];
  jobs: number;
  set: string[];
  dryRun: boolean;
  json: boolean;
}

export function addBenchmark(program: Command): void {
  program
    .command('benchmark')
    .description(
      'train every experiment of a suite and write the table with the published values; Ctrl-C saves and stops',
    )
    .argument('<suite>', 'a YAML file, or the name of one of the package (paper)')
    .option(
      '--out <folder>',
      'where the runs go; what it holds already is gone on with (default: runs/benchmark-NAME-TIME)',
    )
    .option('--seeds <count|seeds>', 'how many, or which (11,12,13)', seeds)
    .option('--only <experiments...>', 'some of the suite', words)
    .option('--jobs <n>', 'trainings at a time', wholeNumber({ most: 256 }), 1)
    .option('--set <key=value...>', 'override keys of every configuration', [])
    .option('--dry-run', 'read and check everything, list what would be trained', false)
    .option('--json', 'print the result as JSON', false)
    .addHelpText(
      'after',
      examples(
        'M3L_DATA=/data m3l benchmark paper --only sid-0.1-supervised,sid-0.1-m3l --out runs/paper',
        'm3l benchmark my-suite.yaml --seeds 3 --jobs 4',
        'm3l benchmark my-suite.yaml --out /shared/runs  # the same on each machine',
      ),
    )
    .action(async (name: string, options: Options) => {
      const { benchmarkTable, freshName, readSuite, runSuite } = await import(
        '../../experiment/index.js'
      );
      const { seeds: chosen, only, set: sets, jobs, json, dryRun } = options;
      const suite = readSuite(name, {
        sets,
        ...(chosen === undefined ? {} : { seeds: chosen }),
        ...(only === undefined ? {} : { only }),
      });
      if (dryRun) {
        const list = suite.experiments.map((each) => ({ name: each.name, title: each.title }));
        if (json) return printJson({ seeds: suite.seeds, experiments: list });
        for (const each of list) printResult(`${each.name.padEnd(36)} ${each.title}`);
        return printNote(`${list.length} experiments, seeds ${suite.seeds.join(', ')}`);
      }
      if (isOneOfSeveral() && options.out === undefined) {
        throw new UsageError(
          `${process.env.WORLD_SIZE} processes share the suite (WORLD_SIZE): name the folder that all reach with --out.`,
        );
      }
      const folder = options.out ?? freshName(`benchmark-${suite.name}`);
      const interruption = listenForInterruption();
      try {
        const report = await runSuite(suite, {
          folder,
          jobs,
          signal: interruption.signal,
          onEvent: watcher(),
        });
        if (tells()) {
          if (json) printJson(report);
          else printResult(benchmarkTable(report));
          printNote(`\n${folder}: results.md, results.json, results.png`);
        }
        if (report.rows.some(({ failed }) => failed.length > 0)) process.exitCode = EXIT.failure;
      } finally {
        interruption.stop();
      }
    });
}

/** A line as a training begins and ends, and one a minute of those that run. */
function watcher(): (event: BenchmarkEvent) => void {
  const started = new Map<number, number>();
  let told = Date.now();
  const running = new Map<number, string>();
  return (event) => {
    const { index, of, job } = event;
    const which = `[${index} of ${of}] ${job.title}, seed ${job.seed}`;
    if (event.kind === 'step') {
      running.set(index, `${which}: ${Math.round((100 * event.iteration) / event.iterations)} %`);
      if (Date.now() - told < 60_000) return;
      told = Date.now();
      for (const line of running.values()) printNote(line);
      return;
    }
    if (event.kind === 'begun') started.set(index, Date.now());
    else running.delete(index);
    const seconds = (Date.now() - (started.get(index) ?? Date.now())) / 1000;
    const texts = {
      kept: 'is there already',
      begun: 'begins',
      done: `is done, ${duration(seconds)}`,
      failed: event.kind === 'failed' ? `failed: ${event.reason}` : '',
    };
    printNote(`${which} ${texts[event.kind]}`);
  };
}
