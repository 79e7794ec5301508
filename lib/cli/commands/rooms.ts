import type { Command } from 'commander';
import { FURTHER_SENSORS, type RoomSensor } from '../../rooms/sensors.js';
import { number, pictureSize, someOf, wholeNumber } from '../arguments.js';
import { examples } from '../command-line.js';
import { printJson, printResult } from '../output.js';
import { createProgress } from '../progress.js';

interface Options {
  labelled: number;
  unlabelled: number;
  val: number;
  test: number;
  size: [number, number];
  seed: number;
  camouflage: number;
  typicalColours: number;
  depthNoise: number;
  varied: boolean;
  sensors?: RoomSensor[];
  workers?: number;
  json: boolean;
}

// A split's rooms have their own range of 300,000 seeds.
const count = wholeNumber({ most: 300_000 });
const countOrNone = wholeNumber({ least: 0, most: 300_000 });
const tests = wholeNumber({ least: 0, most: 100_000 });
const workers = wholeNumber({ least: 0, most: 64 });

export function addRooms(program: Command): void {
  program
    .command('rooms')
    .description('render procedural RGB-D rooms with labels: a data set to try things on')
    .argument('<out>', 'folder to write')
    .option('--labelled <count>', 'rooms with labels to train on', count, 8)
    .option('--unlabelled <count>', 'rooms without labels', countOrNone, 64)
    .option('--val <count>', 'rooms with labels to evaluate on', count, 32)
    .option('--test <count>', 'further ones to test on', tests, 0)
    .option('--size <height>x<width>', 'picture size (default: 120x160)', pictureSize, [120, 160])
    .option('--seed <seed>', 'the same seed gives the same rooms', wholeNumber({ least: 0 }), 1)
    .option(
      '--camouflage <share>',
      'how often furniture looks like what is around it',
      number(1),
      0.4,
    )
    .option(
      '--typical-colours <share>',
      'how often a thing wears the colour of its kind',
      number(1),
      0,
    )
    .option('--depth-noise <factor>', 'noise and holes of depth, noise of normals', number(), 1)
    .option(
      '--varied',
      'draw the three above for each room, and vary textures, light and camera widely',
      false,
    )
    .option(
      '--sensors <names...>',
      `what else to render beside rgb and depth: ${FURTHER_SENSORS.join(', ')}`,
      someOf(FURTHER_SENSORS),
    )
    .option('--workers <count>', 'threads to render with (default: one a core, at most 4)', workers)
    .option('--json', 'print the result as JSON', false)
    .addHelpText(
      'after',
      examples(
        'm3l rooms data/rooms',
        'm3l rooms data/hard --size 240x320 --camouflage 0.8 --seed 2',
        'm3l rooms data/warm --sensors thermal,normals',
      ),
    )
    .action(async (out: string, options: Options) => {
      const { writeRooms } = await import('../../rooms/index.js');
      const { size, json: _, ...given } = options;
      const [height, width] = size;
      const { labelled, unlabelled, val, test } = given;
      const total = labelled + unlabelled + val + test;
      const progress = createProgress({ label: 'rooms', total });
      const made = await writeRooms(out, {
        ...given,
        height,
        width,
        onProgress: (done) => progress.update({ done }),
      }).finally(progress.end);
      if (options.json) printJson({ labelled, unlabelled, val, test, height, width, ...made });
      else printResult(made.folder);
    });
}
