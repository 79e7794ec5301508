#!/usr/bin/env node
// Trains every framework on every task of configs/suite and writes what M3L gains on each:
//   npm run suite -- [--tasks a,b] [--frameworks a,b] [--seeds 3 | 11,12] [--set KEY=VALUE …]
//                    [--out FOLDER] [--docs] [--json]
// A run that --out holds already is not repeated, one that was stopped is gone on with.
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { seeds, unknownWord } from '../dist/cli/arguments.js';
import { compareProgress } from '../dist/cli/compare-progress.js';
import { listenForInterruption } from '../dist/cli/interruption.js';
import { EXIT, printJson, printNote, printResult, report, UsageError } from '../dist/cli/output.js';
import { duration } from '../dist/cli/progress.js';
import { suiteTable } from '../dist/cli/suite-table.js';
import {
  ConfigError,
  compareFrameworks,
  Interrupted,
  writeFileAtomic,
} from '../dist/experiment/index.js';
import { scoreTask, suiteGain } from '../dist/experiment/suite.js';
import { writeBetween } from './between-markers.mjs';

/** On the first of them settings are chosen; on the others they are only reported. */
const CHOOSING = ['potholes-6', 'rooms-8', 'rooms-rare', 'rooms-thermal', 'rooms-three'];
const HELD_OUT = ['potholes-3', 'potholes-12', 'rooms-32', 'rooms-128', 'rooms-normals'];
const TASKS = [...CHOOSING, ...HELD_OUT];
const FRAMEWORKS = ['supervised', 'supervised-modality-dropout', 'mean-teacher', 'm3l'];

async function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      tasks: { type: 'string', default: TASKS.join() },
      frameworks: { type: 'string', default: FRAMEWORKS.join() },
      seeds: { type: 'string', default: '3' },
      set: { type: 'string', multiple: true, default: [] },
      out: { type: 'string', default: 'runs/suite' },
      docs: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
    },
  });
  const stray = positionals.find((text) => values.set.length === 0 || !text.includes('='));
  if (stray !== undefined) {
    throw new UsageError(`found '${stray}', expected an option, such as --tasks rooms-8.`);
  }
  // As m3l itself takes them: --set a=1 b=2.
  values.set.push(...positionals);
  const tasks = values.tasks.split(',');
  for (const task of tasks) {
    if (!TASKS.includes(task))
      throw new UsageError(`--tasks: found '${task}'. ${unknownWord(task, TASKS)}`);
  }
  const frameworks = values.frameworks.split(',');
  const folder = resolve(values.out);
  const total = tasks.length * frameworks.length * seeds(values.seeds).length;
  const interruption = listenForInterruption();
  const watch = watcher(total);
  const scores = [];
  const failures = [];
  for (const task of tasks) {
    try {
      const comparison = await compareFrameworks({
        config: fileURLToPath(new URL(`../configs/suite/${task}.yaml`, import.meta.url)),
        frameworks,
        seeds: seeds(values.seeds),
        sets: values.set,
        folder: join(folder, task),
        signal: interruption.signal,
        onEvent: (event) => watch.onEvent(task, event),
      }).finally(watch.end);
      scores.push(scoreTask(task, CHOOSING.includes(task), comparison));
    } catch (error) {
      if (error instanceof Interrupted || isMistyped(error)) throw error;
      // The other tasks are worth their time all the same.
      report(error, false);
      failures.push({ task, message: error.message });
    }
    const suite = { sets: values.set, tasks: scores, gain: suiteGain(scores), failures };
    writeFileAtomic(join(folder, 'suite.json'), `${JSON.stringify(suite, null, 2)}\n`);
    writeFileAtomic(join(folder, 'suite.md'), `${suiteTable(scores)}\n`);
    if (values.json && task === tasks.at(-1)) printJson(suite);
  }
  interruption.stop();
  if (!values.json) printResult(suiteTable(scores));
  printNote(`\nRuns, suite.json and suite.md: ${folder}`);
  if (values.docs && failures.length === 0) writeDocs(suiteTable(scores), values);
  if (failures.length > 0) {
    printNote(`Failed: ${failures.map(({ task }) => task).join(', ')}.`);
    process.exitCode = EXIT.failure;
  }
}

/** Whether all tasks would fail alike: but for data that are not here, what was typed is wrong. */
function isMistyped(error) {
  return error instanceof ConfigError && error.code !== 'M3L_CONFIG_DATA_ROOT';
}

/** Progress of the running training, and a line for each that is done with the time left for all. */
function watcher(total) {
  const progress = compareProgress();
  let done = 0;
  let spent = 0;
  let timed = 0;
  let begun = null;
  const onEvent = (task, event) => {
    if (event.kind === 'run') begun = event.state === 'finished' ? null : Date.now();
    progress.onEvent(event);
    if (event.kind !== 'result') return;
    done++;
    if (begun !== null) {
      timed++;
      spent += (Date.now() - begun) / 1000;
    }
    const { framework, seed, scores } = event.result;
    const robust = Math.max(...scores.map(({ robustMeanIoU }) => robustMeanIoU));
    const left = timed > 0 ? `, ${duration((spent / timed) * (total - done))} left` : '';
    printNote(
      `${done}/${total} ${task} ${framework} (seed ${seed}): robust ${(100 * robust).toFixed(1)}${left}`,
    );
  };
  return { onEvent, end: progress.end };
}

function writeDocs(table, { tasks, frameworks, seeds: asked, set }) {
  const options = [
    ...(tasks === TASKS.join() ? [] : [`--tasks ${tasks}`]),
    ...(frameworks === FRAMEWORKS.join() ? [] : [`--frameworks ${frameworks}`]),
    `--seeds ${asked}`,
    ...set.map((one) => `--set ${one}`),
  ].join(' ');
  writeBetween('results.md', 'suite', `npm run suite -- --docs ${options}`, table);
}

await main().catch((error) => {
  process.exitCode = report(error, false);
});
