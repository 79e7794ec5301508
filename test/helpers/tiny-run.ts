import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkConfig, RunFolder, train } from 'm3l/experiment';
import { writeRooms } from 'm3l/rooms';

/** A run of one step on rooms of 52 × 36 pixels, RGB and depth, and the images of its validation. */
export interface TinyRun {
  readonly folder: string;
  readonly run: string;
  /** The bytes of an image: `rgb`, `depth`, of scene 0 to 2. */
  image(sensor: string, scene?: number): Buffer;
  remove(): void;
}

export async function tinyRun(): Promise<TinyRun> {
  const folder = mkdtempSync(join(tmpdir(), 'm3l-tiny-'));
  const rooms = join(folder, 'rooms');
  const counts = { labelled: 2, unlabelled: 0, val: 3 };
  await writeRooms(rooms, { ...counts, width: 52, height: 36, workers: 0 });
  const config = checkConfig({
    data: {
      root: rooms,
      classes: 13,
      lists: { labelled: 'train_labelled.txt', val: 'val.txt' },
      crop: 32,
    },
    model: { backbone: 'mit-b0' },
    framework: 'supervised-modality-dropout',
    iterations: 1,
    batch: { labelled: 1 },
    evaluate: { samples: 0 },
  });
  const run = RunFolder.create(config, join(folder, 'run'));
  await train({ config, run });
  return {
    folder,
    run: run.path,
    image: (sensor, scene = 0) => readFileSync(join(rooms, sensor, `val_00000${scene}.png`)),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
