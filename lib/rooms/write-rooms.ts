/** A folder of procedural rooms in the normal list format: pictures, lists, class names. */

import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { STANFORD_CLASSES } from '../data/classes.js';
import { DataError } from '../data/errors.js';
import { WorkerPool } from '../data/worker-pool.js';
import { checkArguments } from '../torch/check-arguments.js';
import * as is from '../torch/rules.js';
import type { RoomOptions } from './render-room.js';
import { writeRoomsOptionsShape } from './rules.js';
import { roomSensors } from './sensors.js';
import { type RoomTask, writeRoom } from './write-room.js';

/** How many rooms are written, and of what kind. */
export interface WriteRoomsOptions extends RoomOptions {
  /** Rooms with labels to train on (`train_labelled.txt`). */
  readonly labelled: number;
  /** Rooms without (`train_unlabelled.txt`). */
  readonly unlabelled: number;
  /** Rooms with labels to validate on (`val.txt`). */
  readonly val: number;
  /** Rooms with labels to test on (`test.txt`); 0, the default: no such list. */
  readonly test?: number;
  /** Default 1. The rooms of a split do not depend on the sizes of the splits. */
  readonly seed?: number;
  /** Threads to render with; 0: this one. Default: one a core, at most 4. */
  readonly workers?: number;
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

/** Where everything is. */
export interface RoomsFolder {
  readonly folder: string;
  readonly labelledList: string;
  readonly unlabelledList: string;
  readonly valList: string;
  /** Null without rooms to test on. */
  readonly testList: string | null;
  /** True where the folder held these very rooms already. */
  readonly reused: boolean;
}

/** Raised whenever the same seed gives other pictures. */
const VERSION = 2;
const MANIFEST = 'rooms.json';
/** Each split has its own range of seeds. */
const SPLIT_SEEDS = { labelled: 0, unlabelled: 300_000, val: 600_000, test: 900_000 } as const;

type Split = keyof typeof SPLIT_SEEDS;

/**
 * Writes rooms as PNGs: `rgb/`, `depth/` (16-bit millimetres), `normals/` and `thermal/` where they are
 * among the sensors, `label/`, the lists with these columns in this order, `classes.json`.
 * Rendered beside the folder and moved into place when complete; a folder that holds the same rooms is
 * left as it is.
 * @throws DataError M3L_ROOMS_FOLDER where the folder holds something else; the signal's reason
 */
export async function writeRooms(folder: string, options: WriteRoomsOptions): Promise<RoomsFolder> {
  checkArguments(
    'writeRooms',
    { folder, options },
    { folder: is.text, options: writeRoomsOptionsShape },
  );

  const target = resolve(folder);
  const manifest = manifestOf(options);
  const where = (reused: boolean): RoomsFolder => ({
    folder: target,
    labelledList: join(target, 'train_labelled.txt'),
    unlabelledList: join(target, 'train_unlabelled.txt'),
    valList: join(target, 'val.txt'),
    testList: options.test ? join(target, 'test.txt') : null,
    reused,
  });
  if ((await readManifest(target)) === manifest) return where(true);
  await checkReplaceable(target);
  const staging = join(dirname(target), `.${basename(target)}.${process.pid}.partial`);
  await rm(staging, { recursive: true, force: true });
  try {
    for (const part of [...roomSensors(options.sensors), 'label']) {
      await mkdir(join(staging, part), { recursive: true });
    }
    await renderAll(staging, options);
    await writeLists(staging, options);
    await writeFile(
      join(staging, 'classes.json'),
      `${JSON.stringify(STANFORD_CLASSES, null, 2)}\n`,
    );
    await writeFile(join(staging, MANIFEST), manifest);
    // Another process may have put the same rooms there meanwhile, and may be reading them.
    if ((await readManifest(target)) === manifest) return where(true);
    await rm(target, { recursive: true, force: true });
    await rename(staging, target);
    return where(false);
  } catch (error) {
    if ((await readManifest(target)) === manifest) return where(true);
    throw error;
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}

async function renderAll(folder: string, options: WriteRoomsOptions): Promise<void> {
  const { signal, onProgress } = options;
  const tasks = (Object.keys(SPLIT_SEEDS) as Split[]).flatMap((split) =>
    roomsOf(split, options).map(({ name, seed }): RoomTask => {
      const { width, height, camouflage, typicalColours, depthNoise } = options;
      const { smoothing, sensors, varied } = options;
      const look = { camouflage, typicalColours, depthNoise, smoothing, varied };
      const room = { width, height, ...look, sensors };
      return { folder, name, seed, options: room, labelled: split !== 'unlabelled' };
    }),
  );
  const workers = Math.min(tasks.length, options.workers ?? Math.min(4, availableParallelism()));
  const entry = new URL('./rooms-worker.js', import.meta.url);
  const pool = workers > 0 ? new WorkerPool<RoomTask, null>(entry, workers, null) : null;
  let next = 0;
  let done = 0;
  const line = async (worker: number): Promise<void> => {
    while (next < tasks.length) {
      signal?.throwIfAborted();
      const task = tasks[next++]!;
      if (pool) await pool.run(task, worker);
      else await writeRoom(task);
      onProgress?.(++done, tasks.length);
    }
  };
  try {
    await Promise.all(Array.from({ length: Math.max(1, workers) }, (_, worker) => line(worker)));
  } finally {
    await pool?.close();
  }
}

async function writeLists(folder: string, options: WriteRoomsOptions): Promise<void> {
  const lists: [Split, string][] = [
    ['labelled', 'train_labelled.txt'],
    ['unlabelled', 'train_unlabelled.txt'],
    ['val', 'val.txt'],
    ...(options.test ? [['test', 'test.txt'] satisfies [Split, string]] : []),
  ];
  for (const [split, file] of lists) {
    const sensors = roomSensors(options.sensors);
    const parts = split === 'unlabelled' ? sensors : [...sensors, 'label'];
    const lines = roomsOf(split, options).map(({ name }) =>
      parts.map((part) => `${part}/${name}.png`).join('\t'),
    );
    await writeFile(join(folder, file), lines.map((line) => `${line}\n`).join(''));
  }
}

function roomsOf(split: Split, options: WriteRoomsOptions): { name: string; seed: number }[] {
  const start = (options.seed ?? 1) * 1_000_000 + SPLIT_SEEDS[split];
  return Array.from({ length: options[split] ?? 0 }, (_, k) => ({
    name: `${split}_${String(k).padStart(6, '0')}`,
    seed: start + k,
  }));
}

function manifestOf(options: WriteRoomsOptions): string {
  const { labelled, unlabelled, val, seed = 1 } = options;
  const { width = 160, height = 120, depthNoise = 1, smoothing = 2 } = options;
  const { camouflage = 0.4, typicalColours = 0 } = options;
  // Of varied rooms these are drawn; others' manifests stay as they always were.
  const kind = options.varied ? { varied: true } : { camouflage, typicalColours, depthNoise };
  // Folders without rooms to test on stay what they were.
  const splits = { labelled, unlabelled, val, ...(options.test ? { test: options.test } : {}) };
  const sensors = roomSensors(options.sensors);
  const room = {
    ...{ width, height, ...kind, smoothing },
    // As before there were more sensors, so that folders of these two stay what they are.
    ...(sensors.length > 2 && { sensors }),
  };
  return `${JSON.stringify({ rooms: VERSION, seed, ...splits, ...room }, null, 2)}\n`;
}

async function readManifest(folder: string): Promise<string | null> {
  return readFile(join(folder, MANIFEST), 'utf8').catch(() => null);
}

async function checkReplaceable(folder: string): Promise<void> {
  if (!existsSync(folder) || (await readManifest(folder)) !== null) return;
  const found = await readdir(folder).catch(() => ['a file']);
  if (found.length === 0) return;
  throw new DataError(
    'M3L_ROOMS_FOLDER',
    `${folder}: found ${found.slice(0, 3).join(', ')}, expected an empty folder or one of rooms. ` +
      'Choose another folder: rooms replace what is in theirs.',
  );
}
