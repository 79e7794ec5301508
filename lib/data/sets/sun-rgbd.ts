import { join } from 'node:path';
import { isFile } from '../../torch/stat.js';
import { DataError } from '../errors.js';
import { readList } from '../list.js';
import { Random, Stream } from '../random.js';
import { type Hdf5File, openHdf5, toPicture } from './hdf5.js';
import { type MatValue, readMat5 } from './mat5.js';
import type { DataSet, PlannedFile, PlannedScene } from './plan.js';
import { firstThere, namesIn, notRaw, whatIsIn } from './raw-folder.js';

const META = 'SUNRGBDtoolbox/Metadata/SUNRGBDMeta.mat';
const LABELS = 'SUNRGBDtoolbox/Metadata/SUNRGBD2Dseg.mat';
const SPLIT = 'SUNRGBDtoolbox/traintestSUNRGBD/allsplit.mat';
/** What all paths of the toolbox begin with. */
const ROOT = '/n/fs/sun3d/data/';
/** Test images of the whole set: in the export, training labels are numbered behind theirs. */
const TEST_IMAGES = 5050;
/** The share of the training images that the paper validates on: 528 of 5,285. */
const VAL_SHARE = 0.1;

type Half = 'train' | 'test';

/** The files of one image; `number` counts within its half, from 1. */
interface Image {
  half: Half;
  number: number;
  rgb: string;
  depth: string;
  label: PlannedFile['source'];
  labelNumber: number;
}

/**
 * SUN RGB-D, 37 classes as 1 to 37 and 0 for void: as its authors publish it, where labels are in one
 * MATLAB file; or the usual export. Prepared, it lies as the paper's lists have it.
 */
export const sunRgbd: DataSet = {
  title: 'SUN RGB-D',
  layout: [
    'SUNRGBD/kv1/…, kv2/…, realsense/…, xtion/… (each with image/ and depth_bfx/)',
    META,
    LABELS,
    SPLIT,
    'or, exported: images/train/img-000001.jpg, depth/train/1.png, labels/train/img-005051.png;',
    'test likewise (image, label, label37 and labels in one folder will do)',
  ],
  config: 'data/sun-rgbd',
  fractions: [16, 8, 4],
  async plan(raw, { out, seed }) {
    const toolbox = [META, LABELS, SPLIT].map((file) => join(raw, file));
    const notes: string[] = [];
    let images: Image[];
    let labels: Hdf5File | null = null;
    if (toolbox.some(isFile)) {
      const absent = [META, LABELS, SPLIT].filter((file) => !isFile(join(raw, file)));
      if (absent.length > 0) throw notRaw(raw, `no ${absent.join(', no ')}`, this);
      labels = await openHdf5(join(raw, LABELS));
      images = ofToolbox(raw, labels);
    } else {
      const found = ofExport(raw);
      if (found === null) throw notRaw(raw, whatIsIn(raw), this);
      images = found;
    }
    const complete = images.filter(
      ({ rgb, depth, label }) =>
        isFile(rgb) && isFile(depth) && (typeof label !== 'string' || isFile(label)),
    );
    if (complete.length === 0) {
      labels?.close();
      throw notRaw(raw, `none of the files of ${images.length} images`, this);
    }
    const alone = images.length - complete.length;
    if (alone > 0) notes.push(`${alone} images lack a file and are left out.`);
    const named = validationNames([out, raw]);
    const training = complete.filter(({ half }) => half === 'train');
    const validates =
      named === null ? drawn(training, seed) : (image: Image) => named.has(pathOf(image));
    if (named === null) {
      notes.push(
        'Its authors name no images to validate on: a tenth of the training images is drawn. For the ' +
          "paper's numbers put the paper's lists into the folder, val_rgbd_531_681.txt and the like, " +
          'and prepare into an empty one of images.',
      );
    }
    return {
      scenes: complete.map((image) => sceneOf(image, image.half === 'train' && validates(image))),
      notes,
      close: () => labels?.close(),
    };
  },
};

/** A list of the paper's of images to validate on: one for each of the four sizes that images have. */
const VALIDATION = /^val_rgbd_\d+_\d+\.txt$/;

/** The images that such lists in the folders name; null where there is none. */
function validationNames(folders: readonly string[]): Set<string> | null {
  const lists = folders.flatMap((folder) =>
    namesIn(folder)
      .filter((name) => VALIDATION.test(name))
      .map((name) => join(folder, name)),
  );
  if (lists.length === 0) return null;
  const samples = lists.flatMap((list) => readList(list, { root: '/' }));
  return new Set(samples.map(({ name }) => name.replace(/^\/+/, '')));
}

function drawn(images: readonly Image[], seed: number): (image: Image) => boolean {
  const shuffled = new Random(Stream.order, seed).shuffle([...images]);
  const some = new Set(shuffled.slice(0, Math.max(1, Math.floor(images.length * VAL_SHARE))));
  return (image) => some.has(image);
}

const six = (value: number) => String(value).padStart(6, '0');

function pathOf({ half, number }: Image): string {
  return `images/${half}/img-${six(number)}.jpg`;
}

function sceneOf(image: Image, validates: boolean): PlannedScene {
  const { half, number, rgb, depth, label, labelNumber } = image;
  return {
    split: validates ? 'val' : half,
    files: [
      { path: pathOf(image), source: rgb },
      { path: `depth/${half}/${number}.png`, source: depth },
      { path: `labels/${half}/img-${six(labelNumber)}.png`, source: label },
    ],
  };
}

function ofToolbox(raw: string, labels: Hdf5File): Image[] {
  const meta = readMat5(join(raw, META), ['rgbpath', 'rgbname', 'depthname']).SUNRGBDMeta;
  const { alltrain } = readMat5(join(raw, SPLIT));
  if (meta?.kind !== 'struct' || alltrain?.kind !== 'cell') {
    throw new DataError(
      'M3L_DATA_SET_RAW',
      `${join(raw, SPLIT)} and ${META}: found no alltrain or no SUNRGBDMeta, expected those of ` +
        'SUNRGBDtoolbox. Take its files.',
    );
  }
  const training = new Set(alltrain.items.map((item) => textOf(item).replace(/\/+$/, '')));
  const entries = meta.items.map((entry, index) => {
    // …/NAME/image/FILE.jpg
    const folder = textOf(entry.rgbpath).split('/').slice(0, -2).join('/');
    const half: Half = training.has(folder) ? 'train' : 'test';
    const own = join(raw, folder.startsWith(ROOT) ? folder.slice(ROOT.length) : folder);
    return {
      half,
      rgb: join(own, 'image', textOf(entry.rgbname)),
      depth: join(own, 'depth_bfx', textOf(entry.depthname)),
      label: async () => toPicture(labels.referenced('SUNRGBD2Dseg/seglabel', index)),
    };
  });
  const tests = entries.filter(({ half }) => half === 'test').length;
  const count = { train: 0, test: 0 };
  return entries.map((entry) => {
    const number = ++count[entry.half];
    return { ...entry, number, labelNumber: entry.half === 'train' ? number + tests : number };
  });
}

function ofExport(raw: string): Image[] | null {
  const images = firstThere(raw, ['images', 'image']);
  const depth = firstThere(raw, ['depth', 'depths']);
  const labels = firstThere(raw, ['labels', 'label', 'label37']);
  if (images === null || depth === null || labels === null) return null;
  return (['train', 'test'] as const).flatMap((half) => {
    const rgb = numbered(join(images, half));
    const depths = numbered(join(depth, half));
    const own = numbered(join(labels, half));
    const all = own.size > 0 ? own : numbered(labels);
    // Behind those of the test images; or, where each half has its folder, by its own numbers.
    const behind = half === 'train' && (own.size === 0 || Math.min(...own.keys()) > TEST_IMAGES);
    return [...rgb].map(([number, file]): Image => {
      const labelNumber = number + (behind ? TEST_IMAGES : 0);
      return {
        ...{ half, number, rgb: file },
        depth: depths.get(number) ?? join(depth, half, `${number}.png`),
        label: all.get(labelNumber) ?? join(labels, half, `${labelNumber}.png`),
        labelNumber: number + (half === 'train' ? TEST_IMAGES : 0),
      };
    });
  });
}

/** Files by the last number in their names. */
function numbered(folder: string): Map<number, string> {
  const entries = namesIn(folder).flatMap((name): [number, string][] => {
    const digits = /(\d+)\.(?:png|jpe?g)$/i.exec(name)?.[1];
    return digits === undefined ? [] : [[Number(digits), join(folder, name)]];
  });
  return new Map(entries.sort(([a], [b]) => a - b));
}

function textOf(value: MatValue | undefined): string {
  if (value?.kind === 'text') return value.text;
  // A cell of one text, as some of the toolbox's lists have it.
  if (value?.kind === 'cell' && value.items.length === 1) return textOf(value.items[0]);
  return '';
}
