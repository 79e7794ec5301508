import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { torch } from 'm3l';
import {
  checkConfig,
  type FailedScene,
  type PredictedScene,
  predict,
  predictMany,
  RunFolder,
  type Scene,
  scenesOf,
  train,
} from 'm3l/experiment';
import { writeRooms } from 'm3l/rooms';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, test } from 'vitest';

let folder: string;
let run: RunFolder;
const rooms = (...names: string[]) => join(folder, 'rooms', ...names);

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'm3l-many-'));
  const counts = { labelled: 2, unlabelled: 0, val: 3 };
  await writeRooms(rooms(), { ...counts, width: 52, height: 36, workers: 0 });
  const config = checkConfig({
    data: {
      root: rooms(),
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
  run = RunFolder.create(config, join(folder, 'run'));
  await train({ config, run });
  // Frames by their sensors' names, of one of which the depth is lost.
  for (const sensor of ['rgb', 'depth']) {
    mkdirSync(join(folder, sensor));
    for (const index of sensor === 'rgb' ? [0, 1, 2] : [0, 2]) {
      const from = rooms(sensor, `val_00000${index}.png`);
      copyFileSync(from, join(folder, sensor, `${index}_${sensor}.png`));
    }
  }
}, 120_000);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function collected(scenes: Iterable<Scene>, options = {}) {
  const found: (PredictedScene | FailedScene)[] = [];
  for await (const each of predictMany(run, scenes, options)) found.push(each);
  return found;
}

const classes = (file: string) => sharp(file).toColourspace('b-w').raw().toBuffer();

test('folders: files of one name belong together, a scene has what there is of it', async () => {
  const sources = { rgb: join(folder, 'rgb'), depth: join(folder, 'depth') };
  const out = (stem: string) => ({ out: join(folder, 'out', `${stem}.png`) });
  const scenes = scenesOf(sources, out);
  expect(scenes.map(({ images }) => Object.keys(images).sort())).toEqual([
    ['depth', 'rgb'],
    ['rgb'],
    ['depth', 'rgb'],
  ]);
  const found = await collected(scenes, { batch: 2 });
  expect(found.map((each) => 'missing' in each && each.missing)).toEqual([[], ['depth'], []]);
  // Alone or in a batch, each is what predict gives.
  for (const [i, scene] of scenes.entries()) {
    const alone = join(folder, `alone-${i}.png`);
    await predict(run, { images: scene.images, out: alone });
    expect((await classes(scene.out)).equals(await classes(alone))).toBe(true);
  }
  const pattern = { rgb: join(folder, 'rgb', '?_r*.png') };
  expect(scenesOf(pattern, out).map(({ images }) => images.rgb)).toEqual(
    [0, 1, 2].map((i) => join(folder, 'rgb', `${i}_rgb.png`)),
  );
  expect(() => scenesOf({ rgb: join(folder, 'nix') }, out)).toThrow('does not exist');
  expect(() => scenesOf({ rgb: join(folder, 'rgb', '*.gif') }, out)).toThrow('found no image');
});

test('probabilities: all classes as .npy, the highest in 16 bits as .png', async () => {
  const images = { rgb: rooms('rgb', 'val_000000.png'), depth: rooms('depth', 'val_000000.png') };
  const place = (end: string) => join(folder, `p-${end}`);
  const [all, highest] = await collected([
    { images, out: place('a.png'), probabilities: place('a.npy') },
    { images, out: place('b.png'), probabilities: place('b16.png') },
  ]);
  expect(all).toMatchObject({ probabilities: place('a.npy') });
  expect(highest).toMatchObject({ probabilities: place('b16.png') });
  const png = await sharp(place('b16.png'))
    .toColourspace('grey16')
    .raw({ depth: 'ushort' })
    .toBuffer();
  const levels = new Uint16Array(png.buffer, png.byteOffset, png.length / 2);
  const said = await classes(place('a.png'));
  torch.scope(() => {
    const values = torch.loadNpy(place('a.npy'));
    expect(values.shape).toEqual([13, 36, 52]);
    expect(values.sum([0])).toBeCloseToTensor(torch.ones([36, 52]), { atol: 1e-5 });
    const most = values.amax([0]).flatten().toTypedArray() as Float32Array;
    expect(levels).toHaveLength(most.length);
    expect(Math.max(...most.map((p, i) => Math.abs(p - levels[i]! / 65_535)))).toBeLessThan(2e-5);
    const best = values.argmax(0).flatten().toTypedArray() as BigInt64Array;
    const same = best.filter((value, i) => Number(value) === said[i]).length;
    expect(same / best.length).toBeGreaterThan(0.999);
  });
});

test('a scene that fails does not stop the others', async () => {
  const images = { rgb: rooms('rgb', 'val_000000.png') };
  const found = await collected([
    { images, out: join(folder, 'f', 'a.png') },
    { images: { rgb: join(folder, 'nix.png') }, out: join(folder, 'f', 'b.png') },
    { images: { rbg: images.rgb }, out: join(folder, 'f', 'c.png') },
    { images, out: join(folder, 'f', 'd.jpg') },
    { images, out: join(folder, 'f', 'e.png') },
  ]);
  expect(found.map((each) => ('error' in each ? each.error.code : 'done'))).toEqual([
    'done',
    'M3L_IMAGE_MISSING',
    'M3L_MISSING_MODALITY',
    'M3L_PICTURE_FORMAT',
    'done',
  ]);
});

test('a stream of scenes on stdin is answered line by line', async () => {
  const program = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
  const args = [program, 'predict', run.path, '--stdin', '--out', join(folder, 's'), '--legend'];
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'ignore'] });
  const lines = [{ rgb: rooms('rgb', 'val_000001.png') }, { rgb: 'nix.png' }].map((images, i) =>
    JSON.stringify({ images, out: join(folder, 's', `${i}.png`) }),
  );
  child.stdin.end(`${lines.join('\n\n')}\n`);
  const [printed, [code]] = await Promise.all([text(child.stdout), once(child, 'close')]);
  const answers = printed
    .trim()
    .split('\n')
    .map((each) => JSON.parse(each) as object);
  expect(answers).toMatchObject([{ missing: ['depth'] }, { error: { code: 'M3L_IMAGE_MISSING' } }]);
  expect(code).toBe(1);
  expect(existsSync(join(folder, 's', 'legend.png'))).toBe(true);
});
