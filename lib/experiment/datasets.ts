import { existsSync } from 'node:fs';
import { join } from 'node:path';
import {
  type AugmentOn,
  type Batch,
  DataLoader,
  disposeBatch,
  ListDataset,
  type ModalitySpec,
  mixSeed,
  readList,
  readNames,
  type Sample,
  type Shard,
  type Transform,
  underRoot,
  withoutLabels,
} from '../data/index.js';
import { frameworkNamed, type TrainingBatch } from '../learning/index.js';
import { FURTHER_SENSORS, type RoomSensor, roomSensors, writeRooms } from '../rooms/index.js';
import { checkArguments } from '../torch/check-arguments.js';
import { cacheFolder } from '../torch/libtorch.js';
import * as is from '../torch/rules.js';
import { classNames } from './classes.js';
import type { Config, ListConfig, RoomsConfig } from './config/config.js';
import { completed } from './config/follow-data.js';
import { placeOn } from './device.js';
import { ConfigError } from './errors.js';
import type { EvaluationSplit } from './evaluation-splits.js';
import { nearest } from './nearest.js';
import { specsOf } from './networks.js';
import { configShape } from './rules.js';
import { sizingOf } from './sizing.js';

/** The data of a run. Batches are made when asked for; `close` ends the worker threads. */
export interface Datasets {
  specs: ModalitySpec[];
  classes: string[];
  /** The training batch of an iteration: the same whenever it is asked for. */
  batch(iteration: number): Promise<TrainingBatch>;
  /** Has the tensors of a batch made now where its images have come; see `DataLoader.prepare`. */
  prepare(iteration: number): void;
  /** The set to evaluate on, once: the list `val`, or the one asked for. Whoever gets a batch disposes of it. */
  validation(): AsyncIterable<Batch>;
  validationImages: number;
  /** Of these, how many come before the first of this process's part. */
  validationFirst: number;
  /** Evaluation samples spread over the set, one a batch, disposed of as the next is taken. */
  samples(count: number): AsyncIterable<Batch>;
  close(): Promise<void>;
}

/** The files that a configuration names. */
export interface Sources {
  root: string;
  classes: string[];
  labelled: Sample[];
  unlabelled: Sample[] | null;
  val: Sample[];
  /** Null where there is no such list, or it was not asked for. */
  test: Sample[] | null;
}

/**
 * Finds (or renders) the data that a configuration names. Lists are read at once, images later. What the
 * configuration leaves open is as in the paper: `train` settles it before.
 *
 * @param note is told what takes long
 * @param options.split what to evaluate on (`val`)
 * @param options.shard whose part of the batches, and of the set to evaluate on; all where absent
 * @throws ConfigError M3L_CONFIG_DATA_ROOT, M3L_NO_TEST_LIST; DataError of a list or of an option that does
 *   not fit it
 */
export async function openDatasets(
  given: Config,
  note: (text: string) => void = () => {},
  options: { split?: EvaluationSplit; shard?: Shard } = {},
): Promise<Datasets> {
  checkArguments(
    'openDatasets',
    { given, note, options },
    { given: configShape, note: is.callback, options: is.record },
  );
  const { split = 'val', shard } = options;

  const config = completed(given);
  const { data } = config;
  const specs = specsOf(config);
  const sources = await openSources(config, note, { test: split === 'test' });
  const { classes, labelled, unlabelled } = sources;
  const evaluated = sources[split] ?? noTestList(config);
  const loaders: DataLoader[] = [];
  const loader = (samples: Sample[], transform: Transform, options: LoaderOptions) => {
    const made = new DataLoader(datasetOf(config, samples), { transform, ...options });
    loaders.push(made);
    return made;
  };
  const { crop, cropMostOneClass: mostOneClass, flip, scales } = data;
  const { evaluationSize, nearest: rule } = sizingOf(config);
  const place = { crop, flip, scales, mostOneClass };
  const training: Transform = { kind: 'training', ...place, nearest: rule };
  const evaluation: Transform = { kind: 'evaluation', size: evaluationSize, nearest: rule };
  const { batch, seed, workers } = config;
  // Labelled and unlabelled images are loaded at the same time: each gets half of the threads.
  const half = Math.ceil(workers / 2);
  const where = { device: placeOn(config.device).device, augmentOn: data.augmentOn, shard };

  const labelledLoader = lazily(() =>
    loader(labelled, training, {
      batchSize: batch.labelled,
      seed: mixSeed(seed, 1),
      workers: half,
      ...where,
    }),
  );
  const unlabelledLoader = lazily(() =>
    loader(withoutLabels(unlabelled ?? labelled), training, {
      batchSize: batch.unlabelled,
      seed: mixSeed(seed, 2),
      workers: half,
      ...where,
    }),
  );
  const evaluationLoader = lazily(() =>
    loader(evaluated, evaluation, { batchSize: config.evaluate.batch, workers, shard }),
  );
  const { needsUnlabelled } = frameworkNamed(config.framework.name);

  return {
    specs,
    classes,
    async batch(iteration) {
      if (!needsUnlabelled) return { labelled: await labelledLoader().batch(iteration) };
      const made = await Promise.allSettled([
        labelledLoader().batch(iteration),
        unlabelledLoader().batch(iteration),
      ]);
      const failure = made.find((result) => result.status === 'rejected');
      const batches = made.flatMap((result) =>
        result.status === 'fulfilled' ? [result.value] : [],
      );
      if (failure !== undefined) {
        for (const one of batches) disposeBatch(one);
        throw failure.reason;
      }
      return { labelled: batches[0]!, unlabelled: batches[1]! };
    },
    prepare(iteration) {
      labelledLoader().prepare(iteration);
      if (needsUnlabelled) unlabelledLoader().prepare(iteration);
    },
    validation: () => evaluationLoader().batches(0),
    validationImages: evaluated.length,
    get validationFirst() {
      return evaluationLoader().first;
    },
    async *samples(count) {
      const some = loader(spread(evaluated, count), evaluation, { batchSize: 1 });
      for await (const one of some) {
        try {
          yield one;
        } finally {
          disposeBatch(one);
        }
      }
    },
    async close() {
      await Promise.all(loaders.map((each) => each.close()));
    },
  };
}

function noTestList({ data: { rooms } }: Config): never {
  throw new ConfigError(
    'M3L_NO_TEST_LIST',
    rooms === undefined
      ? 'data.lists.test is not given, and the test list is to be evaluated. Name it (--set data.lists.test=FILE), or evaluate the list val.'
      : 'data.rooms.test is 0, and the test list is to be evaluated. Say how many rooms (--set data.rooms.test=40), or evaluate the list val.',
  );
}

/** Samples, read as a configuration says. */
export function datasetOf(config: Config, samples: readonly Sample[]): ListDataset {
  const { labelOffset, labels, resize, align } = config.data;
  const classes = classNames(config);
  return new ListDataset({
    samples,
    modalities: specsOf(config),
    numClasses: classes.length,
    classNames: classes,
    labelOffset,
    labels,
    resize,
    align,
  });
}

interface LoaderOptions {
  batchSize: number;
  seed?: number;
  workers?: number;
  device?: string;
  augmentOn?: AugmentOn;
  shard?: Shard | undefined;
}

/** `count` entries evenly spread over a list: those at floor((i + 0.5) · length / count). */
export function spread<Entry>(entries: readonly Entry[], count: number): Entry[] {
  const taken = Math.min(count, entries.length);
  return Array.from(
    { length: taken },
    (_, i) => entries[Math.floor(((i + 0.5) * entries.length) / taken)]!,
  );
}

/**
 * Makes sure of the folder of the data.
 * @throws ConfigError M3L_CONFIG_DATA_ROOT where it is not there
 */
export function requireDataRoot(config: Config): void {
  checkArguments('requireDataRoot', { config }, { config: configShape });
  const {
    data: { root },
  } = config;

  if (root === undefined || existsSync(root)) return;
  throw new ConfigError(
    'M3L_CONFIG_DATA_ROOT',
    `data.root: ${root} does not exist. Put the data there, or give its folder with --set data.root=FOLDER`,
  );
}

/**
 * Reads the lists that a configuration names, or renders its rooms. Throws as `openDatasets`.
 * @param options.allLists reads the unlabelled one also where the framework does not need it (false)
 * @param options.test reads the list `test` too, where there is one (false)
 */
export async function openSources(
  config: Config,
  note: (text: string) => void = () => {},
  { allLists = false, test = false } = {},
): Promise<Sources> {
  const { rooms } = config.data;
  return rooms === undefined
    ? readSources(config, { allLists, test })
    : renderRooms(config, rooms, note);
}

function readSources(
  config: Config,
  { allLists, test }: { allLists: boolean; test: boolean },
): Sources {
  requireDataRoot(config);
  const { data, framework } = config;
  const root = data.root!;
  const lists = data.lists!;
  const modalities = Object.keys(data.modalities);
  const read = (key: 'labelled' | 'unlabelled' | EvaluationSplit, list: ListConfig) => {
    const file = underRoot(root, list.file);
    const { files } = data;
    const samples =
      files === undefined
        ? readList(file, {
            root,
            modalities: modalities.length,
            names: modalities,
            // Unlabelled lists may have labels all the same; they are not looked at.
            ...(key === 'unlabelled' ? {} : { labelled: true }),
          })
        : readNames(file, {
            root,
            files: modalities.map((name) => files[name]!),
            label: key === 'unlabelled' ? null : files.label!,
          });
    return choose(samples, list, `data.lists.${key}`);
  };
  return {
    root,
    classes: data.classes!,
    labelled: read('labelled', lists.labelled),
    unlabelled:
      lists.unlabelled !== undefined && (allLists || frameworkNamed(framework.name).needsUnlabelled)
        ? read('unlabelled', lists.unlabelled)
        : null,
    val: read('val', lists.val),
    test: test && lists.test !== undefined ? read('test', lists.test) : null,
  };
}

function choose(samples: Sample[], { count, choose, names, file }: ListConfig, key: string) {
  let chosen = samples;
  if (names !== undefined) {
    const byName = new Map(samples.map((sample) => [sample.name, sample]));
    chosen = names.map((name) => {
      const sample = byName.get(name);
      if (sample !== undefined) return sample;
      const near = nearest(name, [...byName.keys()]);
      throw new ConfigError(
        'M3L_CONFIG_VALUE',
        `${key}.names: found '${name}', which ${file} does not hold.${near === null ? '' : ` Did you mean '${near}'?`}`,
      );
    });
  }
  if (count === undefined) return chosen;
  if (count > chosen.length) {
    throw new ConfigError(
      'M3L_CONFIG_VALUE',
      `${key}.count: found ${count}, but ${file} holds ${chosen.length} samples.`,
    );
  }
  return choose === 'spread' ? spread(chosen, count) : chosen.slice(0, count);
}

async function renderRooms(
  config: Config,
  rooms: RoomsConfig,
  note: (text: string) => void,
): Promise<Sources> {
  const { size, ...options } = rooms;
  const [height, width] = size;
  const wanted = Object.keys(config.data.modalities) as RoomSensor[];
  const sensors = roomSensors(wanted);
  const name = [
    [rooms.labelled, rooms.unlabelled, rooms.val, ...(rooms.test > 0 ? [rooms.test] : [])].join(
      '-',
    ),
    `${height}x${width}`,
    `seed${rooms.seed}`,
    ...(rooms.varied
      ? ['varied']
      : [
          `camouflage${rooms.camouflage}`,
          `typical${rooms.typicalColours}`,
          `noise${rooms.depthNoise}`,
        ]),
    ...FURTHER_SENSORS.filter((sensor) => wanted.includes(sensor)),
  ].join('-');
  let told = 0;
  const { folder, labelledList, unlabelledList, valList, testList } = await writeRooms(
    join(cacheFolder(), 'rooms', name),
    {
      ...options,
      height,
      width,
      sensors,
      onProgress(done, total) {
        const quarter = Math.floor((4 * done) / total);
        if (quarter > told) note(`Rendered ${done} of ${total} rooms.`);
        told = quarter;
      },
    },
  );
  const read = (list: string, labelled: boolean) =>
    readList(list, { root: folder, modalities: sensors.length, labelled }).map((sample) => ({
      ...sample,
      files: wanted.map((sensor) => sample.files[sensors.indexOf(sensor)]!),
    }));
  return {
    root: folder,
    classes: classNames(config),
    labelled: read(labelledList, true),
    unlabelled: rooms.unlabelled === 0 ? null : read(unlabelledList, false),
    val: read(valList, true),
    test: testList === null ? null : read(testList, true),
  };
}

function lazily<Value>(make: () => Value): () => Value {
  let made: { value: Value } | null = null;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}
