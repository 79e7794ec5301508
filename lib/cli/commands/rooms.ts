import type { Command } from 'commander';
import { printJson, printResult, UsageError } from '../output.js';
import { createProgress } from '../progress.js';

interface Options {
  labelled: string;
  unlabelled: string;
  val: string;
  size: string;
  seed: string;
  camouflage: string;
  typicalColours: string;
  depthNoise: string;
  workers?: string;
  json: boolean;
}

export function addRooms(program: Command): void {
  program
    .command('rooms')
    .description('render procedural RGB-D rooms with labels: a data set to try things on')
    .argument('<out>', 'folder to write')
    .option('--labelled <count>', 'rooms with labels to train on', '8')
    .option('--unlabelled <count>', 'rooms without labels', '64')
    .option('--val <count>', 'rooms with labels to evaluate on', '32')
    .option('--size <height>x<width>', 'picture size', '120x160')
    .option('--seed <seed>', 'the same seed gives the same rooms', '1')
    .option('--camouflage <share>', 'how often furniture looks like what is around it', '0.4')
    .option('--typical-colours <share>', 'how often a thing wears the colour of its kind', '0')
    .option('--depth-noise <factor>', 'noise and holes of the depth sensor', '1')
    .option('--workers <count>', 'threads to render with (default: one a core, at most 4)')
    .option('--json', 'print the result as JSON', false)
    .action(async (out: string, options: Options) => {
      const { writeRooms } = await import('../../rooms/index.js');
      const [height, width] = sizeOf(options.size);
      const counts = {
        labelled: number('--labelled', options.labelled),
        unlabelled: number('--unlabelled', options.unlabelled, 0),
        val: number('--val', options.val),
      };
      const progress = createProgress({
        label: 'rooms',
        total: counts.labelled + counts.unlabelled + counts.val,
      });
      const made = await writeRooms(out, {
        ...counts,
        height,
        width,
        seed: number('--seed', options.seed, 0),
        camouflage: fraction('--camouflage', options.camouflage, 1),
        typicalColours: fraction('--typical-colours', options.typicalColours, 1),
        depthNoise: fraction('--depth-noise', options.depthNoise),
        ...(options.workers === undefined
          ? {}
          : { workers: number('--workers', options.workers, 0) }),
        onProgress: (done) => progress.update({ done }),
      });
      progress.end();
      if (options.json) printJson({ ...counts, height, width, ...made });
      else printResult(made.folder);
    });
}

function number(option: string, text: string, least = 1): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= least) return value;
  throw new UsageError(`${option} ${text}: expected a whole number of at least ${least}.`);
}

function fraction(option: string, text: string, most = Number.POSITIVE_INFINITY): number {
  const value = Number(text);
  if (text.trim() !== '' && value >= 0 && value <= most) return value;
  const range = Number.isFinite(most) ? `from 0 to ${most}` : 'of at least 0';
  throw new UsageError(`${option} ${text}: expected a number ${range}.`);
}

function sizeOf(text: string): [number, number] {
  const [, height, width] = /^(\d+)x(\d+)$/.exec(text) ?? [];
  if (height === undefined || width === undefined) {
    throw new UsageError(`--size ${text}: expected HEIGHTxWIDTH, for example 120x160.`);
  }
  return [number('--size', height), number('--size', width)];
}
