import { readdirSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { makeFolder } from '../../torch/atomic-write.js';
import type { MetricsLine } from '../metrics.js';
import { type EventContent, EventFile, truncateEvents } from './event-file.js';
import type { LoggedRun, LoggerDescriptor } from './logger.js';
import { scalarsOf } from './scalars.js';

/** Event files that TensorBoard reads; a resumed run begins another one. */
export const tensorboard = {
  name: 'tensorboard',
  summary:
    'event files in `RUN/tensorboard`: scalars of all that is logged, the contact sheet at each evaluation, the configuration as text',
  open(run) {
    const { folder, classes, earlier, iteration } = run;
    const place = join(folder, 'tensorboard');
    makeFolder(place);
    const { file, first } = openFile(place, iteration);
    const write = (content: EventContent, step: number) =>
      file.write({ ...content, step, time: Date.now() / 1000 });
    write({ fileVersion: 'brain.Event:2' }, 0);
    // A TensorBoard that is looking on forgets what came after the iteration that is gone on from.
    if (iteration > 0) write({ sessionStart: true }, iteration + 1);
    write({ tag: 'configuration', text: asMarkdown(run) }, iteration);
    const log = (line: MetricsLine) => write({ scalars: scalarsOf(line, classes) }, line.iteration);
    if (first) for (const line of earlier) log(line);
    return {
      log(line) {
        log(line);
        if (line.kind === 'evaluation') file.flush();
      },
      picture(step, png) {
        // Width and height stand at the beginning of a PNG's first chunk.
        const image = { width: png.readUInt32BE(16), height: png.readUInt32BE(20), png };
        write({ tag: 'samples', image }, step);
      },
      close() {
        file.flush();
        file.close();
      },
    };
  },
} as const satisfies LoggerDescriptor;

/** A new file after those that there are, which end where the run goes on. */
function openFile(place: string, iteration: number) {
  const names = readdirSync(place).filter((name) => PATTERN.test(name));
  for (const name of names) truncateEvents(join(place, name), iteration);
  // TensorBoard reads them in the order of their names.
  const latest = Math.max(0, ...names.map((name) => Number(PATTERN.exec(name)![1])));
  const seconds = Math.max(Math.floor(Date.now() / 1000), latest + 1);
  const name = `events.out.tfevents.${seconds}.${hostname()}.${process.pid}`;
  return { file: new EventFile(join(place, name)), first: names.length === 0 };
}

const PATTERN = /^events\.out\.tfevents\.(\d{10,})\./;

function asMarkdown({ text }: LoggedRun): string {
  return text.replaceAll(/^/gm, '    ');
}
