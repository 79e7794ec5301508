/** Tiny data sets in the exact layouts that they are downloaded in. */

import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import sharp from 'sharp';
import { pattern, writeColour, writeGrey } from '../fixtures.js';

export const WIDTH = 64;
export const HEIGHT = 48;
const PIXELS = WIDTH * HEIGHT;
const matlab = join(import.meta.dirname, '../../fixtures/matlab');

function file(root: string, path: string): string {
  const target = join(root, path);
  mkdirSync(dirname(target), { recursive: true });
  return target;
}

type Size = readonly [width: number, height: number];

const SIZE: Size = [WIDTH, HEIGHT];

const colour = (root: string, path: string, seed: number, [width, height] = SIZE) =>
  writeColour(file(root, path), width, height, pattern(3 * width * height, 251, 7919 + seed));

const depth = (root: string, path: string, seed: number, [width, height] = SIZE) =>
  writeGrey(file(root, path), width, height, pattern(width * height, 5000, 7919 + seed), 16);

/** Vertical stripes of the given values. */
export const stripes = (values: readonly number[], [width, height] = SIZE): number[] =>
  Array.from(
    { length: width * height },
    (_, i) => values[Math.floor(((i % width) / width) * values.length)]!,
  );

const label = (root: string, path: string, values: readonly number[], size = SIZE) =>
  writeGrey(file(root, path), ...size, stripes(values, size));

/** Instances of Stanford 2D-3D-S: class, number, room and area. */
export const INSTANCES = [
  '<UNK>_0_<UNK>_0_0',
  'ceiling_1_office_3_2',
  'beam_1_office_3_2',
  ...Array.from({ length: 300 }, (_, i) => `chair_${i}_office_3_2`),
  'window_2_hallway_1_4',
];

/** What a stripe of a semantic image holds: a 24-bit index as a colour. */
export const SEMANTICS = [1, 2, 3, 258, 303, 0, 0x0d0d0d, 1];

/** The classes that these are: ceiling 3, beam 0, chair 4, window 12, void 255. */
export const STANFORD_LABELS = [3, 0, 4, 4, 12, 255, 255, 3];

/** The names of one scene, as the data set and the paper's lists have them. */
export async function stanford(root: string, names: readonly [area: string, name: string][]) {
  writeFileSync(file(root, 'assets/semantic_labels.json'), JSON.stringify(INSTANCES));
  const indices = stripes(SEMANTICS);
  const coded = indices.flatMap((index) => [index >> 16, (index >> 8) & 255, index & 255]);
  for (const [k, [area, name]] of names.entries()) {
    const path = (kind: string) => `${area}/data/${kind}/${name}_${kind}.png`;
    await colour(root, path('rgb'), k);
    await depth(root, path('depth'), k);
    await writeColour(file(root, path('semantic')), WIDTH, HEIGHT, coded);
  }
}

export const stanfordNames = (): [string, string][] =>
  ['area_1', 'area_2', 'area_3', 'area_4', 'area_5a', 'area_6'].flatMap((area, a) =>
    [0, 1].map((k): [string, string] => [area, `camera_${a}${k}ab_office_${a}_frame_${k}_domain`]),
  );

/** SUN RGB-D of the toolbox: the scenes of scripts/golden/matlab_files.py. */
export async function sunToolbox(root: string): Promise<void> {
  for (const [name, folder] of [
    ['SUNRGBDMeta.mat', 'Metadata'],
    ['SUNRGBD2Dseg.mat', 'Metadata'],
    ['allsplit.mat', 'traintestSUNRGBD'],
  ] as const) {
    copyFileSync(join(matlab, name), file(root, `SUNRGBDtoolbox/${folder}/${name}`));
  }
  const scenes = [1, 2, 3].map((i) => `kv1/NYUdata/NYU000${i}`);
  scenes.push(...[1, 2, 3].map((i) => `xtion/sun3ddata/hall/000000${i}`));
  for (const [i, scene] of scenes.entries()) {
    await colour(root, `SUNRGBD/${scene}/image/rgb${i}.jpg`, i);
    await depth(root, `SUNRGBD/${scene}/depth_bfx/depth${i}.png`, i);
  }
}

/** The images of SUN RGB-D's four cameras differ in size. */
const CAMERAS: readonly Size[] = [SIZE, [56, 44], [73, 53], [68, 53]];

/** SUN RGB-D as it is exported: these training images, and two to test on. */
export async function sunExport(root: string, training: readonly number[]): Promise<void> {
  const six = (number: number) => String(number).padStart(6, '0');
  const scene = async (half: string, number: number, behind: number) => {
    const size = CAMERAS[number % 4]!;
    const values = [0, 1, number % 38, 37];
    await colour(root, `images/${half}/img-${six(number)}.jpg`, number, size);
    await depth(root, `depth/${half}/${number}.png`, number, size);
    await label(root, `labels/${half}/img-${six(number + behind)}.png`, values, size);
  };
  for (const number of training) await scene('train', number, 5050);
  for (const number of [1, 2]) await scene('test', number, 0);
}

/** NYU Depth v2 as its authors publish it. */
export function nyuMatlab(root: string): void {
  for (const name of ['nyu_depth_v2_labeled.mat', 'splits.mat', 'classMapping40.mat']) {
    copyFileSync(join(matlab, name), file(root, name));
  }
}

/** NYU Depth v2 as PNGs. */
export async function nyuExport(root: string): Promise<void> {
  for (const [half, numbers] of [
    ['train', [3, 4, 5, 6]],
    ['test', [1, 2]],
  ] as const) {
    for (const number of numbers) {
      const name = `${String(number).padStart(4, '0')}.png`;
      await colour(root, `${half}/rgb/${name}`, number);
      await depth(root, `${half}/depth/${name}`, number);
      await label(root, `${half}/labels_40/${name}`, [0, number, 40, 20]);
    }
  }
}

/** DELIVER: tags in the first channel of a colour image, events smaller in one case. */
export async function deliver(root: string): Promise<void> {
  let seed = 0;
  for (const [split, count] of [
    ['train', 4],
    ['val', 2],
    ['test', 1],
  ] as const) {
    for (let k = 0; k < count; k++) {
      const path = (folder: string, word: string) =>
        `${folder}/${k % 2 ? 'night' : 'cloud'}/${split}/MAP_1_point${k}/04505${k}_${word}_front.png`;
      await colour(root, path('img', 'rgb'), seed++);
      await colour(root, path('hha', 'depth'), seed++);
      await colour(root, path('lidar', 'lidar'), seed++);
      await sharp(Uint8Array.from(pattern(3 * 24 * 32, 251, seed)), {
        raw: { width: 32, height: 24, channels: 3 },
      }).toFile(file(root, path('event', 'event')));
      const tags = stripes([1, 7, 25, 0, 255]).flatMap((tag) => [tag, 0, 0]);
      await writeColour(file(root, path('semantic', 'semantic')), WIDTH, HEIGHT, tags);
    }
  }
}

/** MFNet: red, green, blue and thermal in one PNG; mirrored copies in the training list alone. */
export async function mfnet(root: string): Promise<void> {
  const lists: Record<string, string[]> = {
    'train.txt': ['00001D', '00001D_flip', '00002D', '00003N', '00004N'],
    'val.txt': ['00005D', '00006N'],
    'test.txt': ['00007D'],
  };
  for (const [list, names] of Object.entries(lists)) {
    writeFileSync(file(root, list), `${names.join('\n')}\n`);
    for (const name of names.filter((one) => !one.endsWith('_flip'))) {
      const seed = Number.parseInt(name, 10);
      await sharp(Uint8Array.from(pattern(4 * PIXELS, 251, 7919 + seed)), {
        raw: { width: WIDTH, height: HEIGHT, channels: 4 },
      }).toFile(file(root, `images/${name}.png`));
      await label(root, `labels/${name}.png`, [0, 1, 8, seed % 9]);
    }
  }
}
