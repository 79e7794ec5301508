import { readFileSync } from 'node:fs';
import { CommanderError } from 'commander';
import { CommandLine } from './command-line.js';
import { addBenchmark } from './commands/benchmark.js';
import { addCheck } from './commands/check.js';
import { addCompare } from './commands/compare.js';
import { addCompareFrameworks } from './commands/compare-frameworks.js';
import { addData } from './commands/data.js';
import { addDoctor } from './commands/doctor.js';
import { addEvaluate } from './commands/evaluate.js';
import { addExport } from './commands/export.js';
import { addLibtorch } from './commands/libtorch.js';
import { addPredict } from './commands/predict.js';
import { addPretrain } from './commands/pretrain.js';
import { addRobustness } from './commands/robustness.js';
import { addRooms } from './commands/rooms.js';
import { addRuns } from './commands/runs.js';
import { addServe } from './commands/serve.js';
import { addSplits } from './commands/splits.js';
import { addTrain } from './commands/train.js';
import { addVerify } from './commands/verify.js';
import { addView } from './commands/view.js';
import { addWeights } from './commands/weights.js';
import { EXIT, report } from './output.js';

const { version, description } = JSON.parse(
  readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
) as { version: string; description: string };

// `m3l … | head` closes the pipe early; that is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(EXIT.ok);
  throw error;
});

// Whoever watches may go, and their terminal with them; the work goes on.
process.stderr.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE' && error.code !== 'EIO') throw error;
});

const program = new CommandLine('m3l')
  .description(description)
  .version(version)
  .exitOverride()
  .showSuggestionAfterError()
  .configureHelp({ sortSubcommands: false })
  .addHelpText(
    'after',
    '\nExit codes: 0 done, 1 failed, 2 bad usage or configuration, 130 interrupted.' +
      '\nM3L_DEBUG=1 shows where an error comes from.',
  );

for (const add of [
  addCheck,
  addTrain,
  addPretrain,
  addEvaluate,
  addRobustness,
  addPredict,
  addServe,
  (program: CommandLine) => addView(program, version),
  addExport,
  addWeights,
  addRuns,
  addCompare,
  addCompareFrameworks,
  addBenchmark,
  addVerify,
  addData,
  addSplits,
  addRooms,
  addDoctor,
  addLibtorch,
]) {
  add(program);
}

try {
  await program.parseAsync();
} catch (error) {
  if ((error as { code?: unknown } | null)?.code === 'M3L_WORKER_STUCK') {
    report(error, process.argv.includes('--json'));
    // Any other end would wait for the thread.
    process.kill(process.pid, 'SIGKILL');
  }
  // What commander still throws are help and version, told by then.
  process.exitCode =
    error instanceof CommanderError
      ? error.exitCode === 0
        ? EXIT.ok
        : EXIT.usage
      : report(error, process.argv.includes('--json'));
}
