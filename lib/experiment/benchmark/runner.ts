/**
 * One training of a suite, in a process of its own: `node runner.js JOB`, told over IPC. What it saves is
 * what `m3l train` saves; where the process that asked for it goes, it stops after the running step.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { resolveConfig } from '../config/config.js';
import { Interrupted, reasonOf } from '../errors.js';
import { resumeConfig } from '../resume.js';
import { RunFolder } from '../run-folder.js';
import { train } from '../train.js';
import type { RunnerMessage } from './runner-message.js';

const { file, sets, folder } = JSON.parse(process.argv[2]!) as {
  file: string;
  sets: string[];
  folder: string;
};
const ending = new AbortController();
process.on('disconnect', () => ending.abort());
process.on('message', () => ending.abort());
// The terminal sends it to all; the process that asked for this one says when to end.
process.on('SIGINT', () => {});

const tell = (message: RunnerMessage) => {
  if (process.connected) process.send!(message);
};

try {
  const isResumed = existsSync(join(folder, 'config.yaml'));
  const wanted = resolveConfig(file, sets);
  const run = isResumed ? RunFolder.open(folder) : RunFolder.create(wanted, folder);
  const config = isResumed ? resumeConfig(run, wanted).config : wanted;
  await train({
    config,
    run,
    resume: isResumed,
    signal: ending.signal,
    onEvent(event) {
      if (event.kind === 'start') tell({ kind: 'start', iterations: event.iterations });
      if (event.kind === 'step') tell({ kind: 'step', iteration: event.iteration });
    },
  });
  tell({ kind: 'done' });
} catch (error) {
  const stopped = error instanceof Interrupted || ending.signal.aborted;
  tell(stopped ? { kind: 'stopped' } : { kind: 'failed', reason: reasonOf(error) });
} finally {
  process.disconnect?.();
}
