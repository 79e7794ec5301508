import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { prepareDataSet, readChannels, readColour, readLabels, readList } from 'm3l/data';
import { describe, expect, it } from 'vitest';
import { shared } from '../../helpers/shared.js';
import { temporaryFolder, writeColour } from '../fixtures.js';
import {
  deliver,
  HEIGHT,
  mfnet,
  nyuExport,
  nyuMatlab,
  STANFORD_LABELS,
  stanford,
  stanfordNames,
  stripes,
  sunExport,
  sunToolbox,
  WIDTH,
} from './raw-sets.js';

const folder = temporaryFolder();
let made = 0;
const fresh = (name: string) => join(folder, `${made++}-${name}`);
const lines = (file: string) => readFileSync(file, 'utf8').trimEnd().split('\n');
const wrong = (code: string, text = '') =>
  expect.objectContaining({ code, message: expect.stringContaining(text) });

describe('Stanford 2D-3D-S', () => {
  it('01 becomes the folder that the paper has lists of', async () => {
    const [raw, out] = [fresh('raw'), fresh('out')];
    await stanford(raw, stanfordNames());
    rmSync(join(raw, 'area_1/data/depth/camera_01ab_office_0_frame_1_domain_depth.png'));
    const prepared = await prepareDataSet({ set: 'stanford-indoor', raw, out });
    expect(prepared.scenes).toEqual({ train: 7, val: 2, test: 2 });
    expect(prepared.notes).toEqual([
      'area_5b: not there, left out.',
      '1 images lack depth or labels and are left out.',
    ]);
    const label = await readLabels(
      join(out, 'data/area_1/label/camera_00ab_office_0_frame_0_domain.png'),
    );
    expect([...label.data]).toEqual(stripes(STANFORD_LABELS));
    const [first] = readList(join(out, 'val.txt'), { root: out });
    expect(first!.files[0]).toBe(
      join(out, 'data/area_3/image/camera_20ab_office_2_frame_0_domain.png'),
    );
    // One in 1,000 of 7, and all others.
    expect(prepared.lists).toMatchObject({
      'train_labeled_1-1000.txt': 1,
      'train_unlabeled_1-1000.txt': 6,
    });
    expect(lines(join(out, 'train_unlabeled_1-1000.txt'))[0]!.split('\t')).toHaveLength(2);
    // The same bytes, not others.
    const image = 'data/area_1/image/camera_00ab_office_0_frame_0_domain.png';
    const source = 'area_1/data/rgb/camera_00ab_office_0_frame_0_domain_rgb.png';
    expect(statSync(join(out, image)).ino).toBe(statSync(join(raw, source)).ino);
  });

  it("02 serves the paper's own list as it is", async () => {
    const list = shared(
      'data/official-lists/stanford_indoor_dataset-configs-config_rgbd-train_config-train_labeled_1-1000.txt',
    );
    if (list === null) return;
    const names = readList(list, { root: '/' }).map(({ name }): [string, string] => {
      const [, , area, , file] = name.split('/');
      return [area!, file!.replace('.png', '')];
    });
    const [raw, out] = [fresh('raw'), fresh('out')];
    await stanford(raw, names);
    await prepareDataSet({ set: 'stanford-indoor', raw, out });
    for (const { files, label } of readList(list, { root: out })) {
      for (const file of [...files, label!]) expect(existsSync(file), file).toBe(true);
    }
  });

  it('03 needs its list of instances, with classes that it knows', async () => {
    const raw = fresh('raw');
    const attempt = () => prepareDataSet({ set: 'stanford-indoor', raw, out: fresh('out') });
    await expect(attempt()).rejects.toEqual(wrong('M3L_DATA_SET_RAW', 'found no folder'));
    await stanford(raw, stanfordNames().slice(0, 2));
    const names = join(raw, 'assets/semantic_labels.json');
    writeFileSync(names, '["ceiling_1_office_3_2", "dragon_1_office_3_2"]');
    await expect(attempt()).rejects.toEqual(wrong('M3L_DATA_SET_RAW', "'dragon_1_office_3_2'"));
    writeFileSync(names, '[');
    await expect(attempt()).rejects.toEqual(wrong('M3L_DATA_SET_RAW', 'no JSON'));
    rmSync(names);
    await expect(attempt()).rejects.toEqual(
      wrong('M3L_DATA_SET_RAW', 'no assets/semantic_labels.json'),
    );
  });
});

describe('SUN RGB-D', () => {
  it('04 is taken out of its MATLAB files, and numbered as the paper has it', async () => {
    const [raw, out] = [fresh('raw'), fresh('out')];
    await sunToolbox(raw);
    const prepared = await prepareDataSet({ set: 'sun-rgbd', raw, out });
    expect(prepared.scenes).toEqual({ train: 3, val: 1, test: 2 });
    // The third image is the first to train on; its label follows those of the two test images.
    const both = ['train.txt', 'val.txt'].flatMap((list) => lines(join(out, list)));
    expect(both.sort()[0]).toBe(
      'images/train/img-000001.jpg\tdepth/train/1.png\tlabels/train/img-000003.png',
    );
    const { data, width, height } = await readLabels(join(out, 'labels/train/img-000003.png'));
    const at = (x: number, y: number) => data[y * width + x];
    expect([width, height, at(0, 0), at(0, 47), at(63, 0), at(17, 30)]).toEqual([
      ...[WIDTH, HEIGHT],
      ...[2, 3, 8, 5],
    ]);
    const third = join(raw, 'SUNRGBD/kv1/NYUdata/NYU0003/image/rgb2.jpg');
    expect(readFileSync(join(out, 'images/train/img-000001.jpg'))).toEqual(readFileSync(third));
    rmSync(join(raw, 'SUNRGBDtoolbox/traintestSUNRGBD/allsplit.mat'));
    await expect(prepareDataSet({ set: 'sun-rgbd', raw, out: fresh('out') })).rejects.toEqual(
      wrong('M3L_DATA_SET_RAW', 'no SUNRGBDtoolbox/traintestSUNRGBD/allsplit.mat'),
    );
  });

  it("05 is taken as it is exported, and serves the paper's own lists", async () => {
    const list = shared('data/official-lists/sunrgbd-config-val_rgbd_531_681.txt');
    const numbers =
      list === null
        ? Array.from({ length: 64 }, (_, i) => i + 7)
        : readList(list, { root: '/' }).map(({ name }) => Number(/(\d+)\.jpg$/.exec(name)![1]));
    const raw = fresh('raw');
    await sunExport(raw, numbers);
    const [drawn, out] = [fresh('out'), fresh('out')];
    const { scenes } = await prepareDataSet({ set: 'sun-rgbd', raw, out: drawn });
    const tenth = Math.floor(numbers.length / 10);
    expect(scenes).toEqual({ train: numbers.length - tenth, val: tenth, test: 2 });
    if (list === null) return;
    const own = readFileSync(list, 'utf8').split('\n').slice(0, 20);
    mkdirSync(out);
    writeFileSync(join(out, 'val_rgbd_531_681.txt'), own.slice(0, 12).join('\n'));
    writeFileSync(join(out, 'val_rgbd_427_561.txt'), own.slice(12).join('\n'));
    const prepared = await prepareDataSet({ set: 'sun-rgbd', raw, out });
    expect(prepared.scenes).toEqual({ train: numbers.length - 20, val: 20, test: 2 });
    const validated = own.map((line) => line.replaceAll(/(^|\t)\//g, '$1')).sort();
    expect(lines(join(out, 'val.txt')).sort()).toEqual(validated);
    for (const { files, label } of readList(list, { root: out })) {
      for (const file of [...files, label!]) expect(existsSync(file), file).toBe(true);
    }
  });
});

describe('NYU Depth v2', () => {
  it('06 is taken out of its MATLAB file: rows, channels, millimetres, 40 classes', async () => {
    const [raw, out] = [fresh('raw'), fresh('out')];
    nyuMatlab(raw);
    const prepared = await prepareDataSet({ set: 'nyuv2', raw, out });
    expect(prepared.scenes).toEqual({ train: 4, val: 2, test: 0 });
    expect(lines(join(out, 'val.txt'))).toEqual([
      'rgb/0003.png\tdepth/0003.png\tlabel/0003.png',
      'rgb/0006.png\tdepth/0006.png\tlabel/0006.png',
    ]);
    const [rgb, depth, label] = await Promise.all([
      readColour(join(out, 'rgb/0003.png')),
      readChannels(join(out, 'depth/0003.png')),
      readLabels(join(out, 'label/0003.png')),
    ]);
    // As scripts/golden/matlab_files.py draws image 2: row 30, column 17.
    const at = 30 * WIDTH + 17;
    expect([...rgb.data.slice(3 * at, 3 * at + 3)]).toEqual([68, 150, 60]);
    expect([depth.data.constructor, depth.data[at]]).toEqual([Uint16Array, 4000]);
    // Its raw class 5 is the fifth of the mapping.
    expect(label.data[at]).toBe(5);
  });

  it('07 is taken as it is exported', async () => {
    const [raw, out] = [fresh('raw'), fresh('out')];
    await nyuExport(raw);
    const { scenes } = await prepareDataSet({ set: 'nyuv2', raw, out });
    expect(scenes).toEqual({ train: 4, val: 2, test: 0 });
  });
});

describe('DELIVER and MFNet', () => {
  it('08 DELIVER has four modalities, its tags become one channel', async () => {
    const [raw, out] = [fresh('raw'), fresh('out')];
    await deliver(raw);
    const prepared = await prepareDataSet({ set: 'deliver', raw, out });
    expect([prepared.scenes, prepared.problems]).toEqual([{ train: 4, val: 2, test: 1 }, []]);
    // Names, of which the configuration makes as many files as it has modalities.
    expect(lines(join(out, 'val.txt'))).toEqual([
      'cloud/val/MAP_1_point0/045050',
      'night/val/MAP_1_point1/045051',
    ]);
    expect(lines(join(out, 'train_unlabeled_1-4.txt'))).toHaveLength(3);
    const label = join(out, 'semantic/cloud/val/MAP_1_point0/045050_semantic_front.png');
    expect([...(await readLabels(label)).data]).toEqual(stripes([1, 7, 25, 0, 255]));
    rmSync(join(raw, 'lidar'), { recursive: true });
    await expect(prepareDataSet({ set: 'deliver', raw, out: fresh('out') })).rejects.toEqual(
      wrong('M3L_DATA_SET_RAW', 'no lidar'),
    );
  });

  it('09 MFNet stays one file of four channels, and mirrored copies are left out', async () => {
    const [raw, out] = [fresh('raw'), fresh('out')];
    await mfnet(raw);
    const prepared = await prepareDataSet({ set: 'mfnet', raw, out });
    expect(prepared.scenes).toEqual({ train: 4, val: 2, test: 1 });
    expect(prepared.notes[0]).toContain('1 mirrored copies');
    expect(prepared.made).toBe(14);
    expect(lines(join(out, 'test.txt'))).toEqual(['00007D']);
  });
});

describe('a preparation', () => {
  const options = { set: 'stanford-indoor', parallel: 1 } as const;

  it('10 goes on where it was stopped, and gives the same', async () => {
    const [raw, out, whole] = [fresh('raw'), fresh('out'), fresh('whole')];
    await stanford(raw, stanfordNames());
    const stop = new AbortController();
    const stopped = prepareDataSet({
      ...{ ...options, raw, out, signal: stop.signal },
      onProgress: (done) => done === 5 && stop.abort(new Error('stopped')),
    });
    await expect(stopped).rejects.toThrow('stopped');
    // Something half made, of a call that was killed.
    mkdirSync(join(out, '.unfinished'));
    writeFileSync(join(out, '.unfinished/half.png'), 'x');
    // No list tells of half a set.
    expect(readdirSync(out).sort()).toEqual(['.unfinished', 'data', 'prepared.json']);
    const seen: number[] = [];
    const again = await prepareDataSet({
      ...{ ...options, raw, out },
      onProgress: (done, scenes) => seen.push(done, scenes),
    });
    expect([again.made, again.kept]).toEqual([21, 15]);
    expect(seen.slice(-2)).toEqual([12, 12]);
    await prepareDataSet({ ...options, raw, out: whole, parallel: 5 });
    const files = (root: string) =>
      readdirSync(root, { recursive: true, encoding: 'utf8' })
        .filter((name) => statSync(join(root, name)).isFile())
        .sort();
    expect(files(out)).toEqual(files(whole));
    for (const name of files(out)) {
      if (name === 'prepared.json') continue;
      expect(readFileSync(join(out, name)), name).toEqual(readFileSync(join(whole, name)));
    }
    expect((await prepareDataSet({ ...options, raw, out })).made).toBe(0);
  });

  it('11 leaves out scenes that cannot be used, and makes them once they can', async () => {
    const [raw, out] = [fresh('raw'), fresh('out')];
    await stanford(raw, stanfordNames());
    const spoilt = join(
      raw,
      'area_1/data/semantic/camera_00ab_office_0_frame_0_domain_semantic.png',
    );
    const kept = readFileSync(spoilt);
    truncateSync(spoilt, 60);
    const small = join(raw, 'area_2/data/depth/camera_10ab_office_1_frame_0_domain_depth.png');
    await writeColour(small, 8, 8, new Uint8Array(192));
    const cut = join(raw, 'area_4/data/rgb/camera_30ab_office_3_frame_0_domain_rgb.png');
    const image = readFileSync(cut);
    truncateSync(cut, image.length - 20);
    const prepared = await prepareDataSet({ ...options, raw, out });
    expect(prepared.problems.map(({ message }) => message)).toEqual([
      expect.stringContaining('cannot be decoded'),
      expect.stringContaining('found 8 × 8, expected 64 × 48'),
      expect.stringContaining('cannot be decoded'),
    ]);
    expect(lines(join(out, 'train.txt')).join()).not.toMatch(/camera_(0|1|3)0ab/);
    expect(prepared.scenes.train).toBe(5);
    // Downloaded again, they are other files.
    for (const [file, bytes] of [
      [spoilt, kept],
      [cut, image],
    ] as const) {
      rmSync(file);
      writeFileSync(file, bytes);
    }
    const again = await prepareDataSet({ ...options, raw, out });
    expect([again.made, again.scenes.train, again.problems.length]).toEqual([9, 7, 1]);
  });

  it('12 touches no folder of others, and no lists', async () => {
    const [raw, out] = [fresh('raw'), fresh('out')];
    await stanford(raw, stanfordNames());
    mkdirSync(out);
    writeFileSync(join(out, 'thesis.doc'), 'x');
    const attempt = (more: object = {}) => prepareDataSet({ ...options, raw, out, ...more });
    await expect(attempt()).rejects.toEqual(wrong('M3L_DATA_SET_FOLDER', 'found thesis.doc'));
    rmSync(join(out, 'thesis.doc'));
    writeFileSync(join(out, 'val.txt'), 'mine\n');
    expect((await attempt()).notes).toContain('val.txt was there, and is left as it is.');
    expect(readFileSync(join(out, 'val.txt'), 'utf8')).toBe('mine\n');
    // Its own lists follow the seed.
    const before = readFileSync(join(out, 'train_labeled_1-100.txt'), 'utf8');
    await attempt({ seed: 5 });
    expect(readFileSync(join(out, 'train_labeled_1-100.txt'), 'utf8')).not.toBe(before);
    const copy = fresh('raw');
    cpSync(raw, copy, { recursive: true });
    await expect(attempt({ raw: copy })).rejects.toEqual(wrong('M3L_DATA_SET_FOLDER', 'of '));
    await expect(attempt({ set: 'mfnet' })).rejects.toEqual(
      wrong('M3L_DATA_SET_FOLDER', 'the data set stanford-indoor'),
    );
    await expect(attempt({ set: 'kitti' })).rejects.toEqual(
      wrong('M3L_DATA_SET_NAME', "found the data set 'kitti', expected one of stanford-indoor"),
    );
    writeFileSync(join(out, 'prepared.json'), '{');
    await expect(attempt()).rejects.toEqual(wrong('M3L_DATA_SET_FOLDER', 'no JSON'));
  });

  it('13 tells without making, and copies where it is asked to', async () => {
    const [raw, out] = [fresh('raw'), fresh('out')];
    await mfnet(raw);
    const told = await prepareDataSet({ set: 'mfnet', raw, out, dryRun: true });
    expect([told.scenes.train, told.lists['val.txt'], existsSync(out)]).toEqual([4, 2, false]);
    await prepareDataSet({ set: 'mfnet', raw, out, copy: true });
    const [copied, source] = [out, raw].map((root) => statSync(join(root, 'images/00001D.png')));
    expect(copied!.ino).not.toBe(source!.ino);
    expect(copied!.size).toBe(source!.size);
  });
});
