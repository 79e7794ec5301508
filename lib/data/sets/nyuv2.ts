import { join } from 'node:path';
import { isFile } from '../../torch/stat.js';
import { DataError } from '../errors.js';
import type { Picture } from '../picture.js';
import { type Hdf5File, openHdf5, toPicture } from './hdf5.js';
import { readMat5 } from './mat5.js';
import type { DataSet, Plan, PlannedScene } from './plan.js';
import { isFolder, namesIn, notRaw, whatIsIn } from './raw-folder.js';

const IMAGES = 'nyu_depth_v2_labeled.mat';
const SPLIT = 'splits.mat';
const CLASSES = 'classMapping40.mat';
/** Classes of `IMAGES`, and the void 0. */
const RAW_CLASSES = 894;
const HALVES = ['train', 'test'] as const;

/**
 * NYU Depth v2: 40 classes as 1 to 40 and 0 for void, of which the configuration makes 13 where asked
 * to; depth in millimetres, with its holes filled by the authors. 795 images to train on, 654 to
 * evaluate on.
 */
export const nyuv2: DataSet = {
  title: 'NYU Depth v2',
  layout: [
    `${IMAGES}, ${SPLIT} (trainNdxs, testNdxs) and ${CLASSES} (mapClass)`,
    'or, exported: train/rgb/0003.png, train/depth/0003.png, train/labels_40/0003.png; test likewise',
  ],
  config: 'data/nyuv2',
  fractions: [16, 8, 4],
  async plan(raw) {
    if (isFile(join(raw, IMAGES))) {
      const absent = [SPLIT, CLASSES].filter((file) => !isFile(join(raw, file)));
      if (absent.length > 0) throw notRaw(raw, `no ${absent.join(', no ')}`, this);
      return ofMatlab(raw);
    }
    const scenes = HALVES.flatMap((half) => exported(raw, half));
    if (scenes.length === 0) throw notRaw(raw, whatIsIn(raw), this);
    return { scenes, notes: [] };
  },
};

function exported(raw: string, half: (typeof HALVES)[number]): PlannedScene[] {
  const labels = ['labels_40', 'labels40', 'label40'].find((name) =>
    isFolder(join(raw, half, name)),
  );
  if (labels === undefined) return [];
  const file = (kind: string, name: string) => join(raw, half, kind, name);
  return namesIn(join(raw, half, labels))
    .filter((name) => isFile(file('rgb', name)) && isFile(file('depth', name)))
    .map((name) => ({
      split: half === 'train' ? 'train' : 'val',
      files: [
        { path: `rgb/${name}`, source: file('rgb', name) },
        { path: `depth/${name}`, source: file('depth', name) },
        { path: `label/${name}`, source: file(labels, name) },
      ],
    }));
}

async function ofMatlab(raw: string): Promise<Plan> {
  const classes = Uint8Array.of(0, ...numbers(join(raw, CLASSES), 'mapClass'));
  if (classes.length !== RAW_CLASSES + 1) {
    throw wrong(join(raw, CLASSES), `mapClass of ${classes.length - 1} classes`, `${RAW_CLASSES}`);
  }
  const split = HALVES.flatMap((half) =>
    numbers(join(raw, SPLIT), `${half}Ndxs`).map((number) => ({ half, number })),
  ).sort((a, b) => a.number - b.number);
  const file = await openHdf5(join(raw, IMAGES));
  try {
    const [count = 0] = file.shape('images');
    const beyond = split.find(({ number }) => !(number >= 1 && number <= count));
    if (beyond)
      throw wrong(join(raw, SPLIT), `image ${beyond.number}`, `images from 1 to ${count}`);
    return {
      scenes: split.map(({ half, number }): PlannedScene => {
        const name = `${String(number).padStart(4, '0')}.png`;
        return {
          split: half === 'train' ? 'train' : 'val',
          files: [
            { path: `rgb/${name}`, source: async () => colours(file, number - 1) },
            { path: `depth/${name}`, source: async () => millimetres(file, number - 1) },
            { path: `label/${name}`, source: async () => labels(file, number - 1, classes) },
          ],
        };
      }),
      notes: [],
      close: () => file.close(),
    };
  } catch (error) {
    file.close();
    throw error;
  }
}

/** MATLAB's [height, width, 3] is stored as [3, width, height]. */
function colours(file: Hdf5File, index: number): Picture {
  const { shape, data } = file.at('images', index);
  const [, width = 0, height = 0] = shape;
  const rows = new Uint8Array(3 * width * height);
  for (let channel = 0, from = 0; channel < 3; channel++) {
    for (let x = 0; x < width; x++) {
      for (let y = 0; y < height; y++) rows[3 * (y * width + x) + channel] = data[from++]!;
    }
  }
  return { width, height, channels: 3, data: rows };
}

/** Metres to whole millimetres; what is no number or beyond 16 bits is nothing, 0. */
function millimetres(file: Hdf5File, index: number): Picture {
  return toPicture(file.at('depths', index), Uint16Array, (metres) => {
    const value = Math.round(1000 * metres);
    return value > 0 && value < 65_536 ? value : 0;
  });
}

function labels(file: Hdf5File, index: number, classes: Uint8Array): Picture {
  return toPicture(file.at('labels', index), Uint8Array, (stored) => classes[stored] ?? 0);
}

function numbers(file: string, name: string): readonly number[] {
  const value = readMat5(file)[name];
  if (value?.kind === 'numbers') return value.values;
  throw wrong(file, `no numbers named ${name}`, 'them');
}

function wrong(file: string, found: string, expected: string): DataError {
  return new DataError(
    'M3L_DATA_SET_RAW',
    `${file}: found ${found}, expected ${expected}. Take the file of the data set.`,
  );
}
