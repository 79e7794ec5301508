import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { writeFolderLists } from 'm3l/data';
import { resolveConfig } from 'm3l/experiment';
import { describe, expect, it } from 'vitest';
import { pattern, temporaryFolder, writeColour, writeGrey } from '../fixtures.js';

const SIDE = 8;
const folder = temporaryFolder();
let made = 0;

type Written = 'rgb' | 'depth' | 'grey' | readonly number[];

/** A folder with these files: colours, 16 bits, 8 bits, or labels of these values. */
async function folderOf(files: Record<string, Written>): Promise<string> {
  const root = join(folder, `set-${made++}`);
  for (const [path, what] of Object.entries(files)) {
    const file = join(root, path);
    mkdirSync(dirname(file), { recursive: true });
    const count = SIDE * SIDE;
    if (what === 'rgb') await writeColour(file, SIDE, SIDE, pattern(3 * count, 251));
    else if (what === 'depth') await writeGrey(file, SIDE, SIDE, pattern(count, 5000), 16);
    else {
      const values = what === 'grey' ? pattern(count, 200) : what;
      const all = Array.from({ length: count }, (_, i) => values[i % values.length]!);
      await writeGrey(file, SIDE, SIDE, all);
    }
  }
  return root;
}

const many = (count: number, files: (name: string) => Record<string, Written>) =>
  Object.assign({}, ...Array.from({ length: count }, (_, i) => files(`${i}`.padStart(3, '0'))));
const lines = (root: string, list: string) =>
  readFileSync(join(root, list), 'utf8').trimEnd().split('\n');
const refused = (text: string) =>
  expect.objectContaining({ code: 'M3L_DATA_FOLDER', message: expect.stringContaining(text) });

describe('lists of folders', () => {
  it('01 pair files by their names, and say what has no partner', async () => {
    const root = await folderOf({
      ...many(10, (name) => ({
        [`rgb/${name}.png`]: 'rgb',
        [`depth/${name}.png`]: 'depth',
        [`labels/${name}.png`]: [0, 1, 2, 255],
      })),
      'rgb/new.png': 'rgb',
      'depth/new.png': 'depth',
      'rgb/dark.png': 'rgb',
    });
    writeFileSync(join(root, 'rgb/notes.txt'), 'x');
    const { lists, alone, modalities, label } = await writeFolderLists({ folder: root });
    expect(lists).toEqual({ 'train_labelled.txt': 8, 'train_unlabelled.txt': 1, 'val.txt': 2 });
    expect(alone).toEqual([{ name: 'rgb/dark.png', lacks: ['depth'] }]);
    expect([modalities, label]).toEqual([
      [
        { name: 'rgb', folder: 'rgb', kind: 'rgb' },
        { name: 'depth', folder: 'depth', kind: 'depth' },
      ],
      'labels',
    ]);
    expect(lines(root, 'train_unlabelled.txt')).toEqual(['rgb/new.png\tdepth/new.png']);
    const { data } = resolveConfig(join(root, 'data.yaml'));
    expect(data).toMatchObject({ root, classes: ['class 0', 'class 1', 'class 2'] });
    expect(data.modalities.depth).toEqual({ kind: 'depth', invalid: 0 });
    const labelled = lines(root, 'train_labelled.txt');
    expect(new Set([...labelled, ...lines(root, 'val.txt')]).size).toBe(10);
    // The same again changes nothing; others are not overwritten.
    await writeFolderLists({ folder: root });
    const there = expect.objectContaining({ code: 'M3L_LIST_THERE' });
    await expect(writeFolderLists({ folder: root, seed: 2 })).rejects.toEqual(there);
    await writeFolderLists({ folder: root, seed: 2, force: true });
    expect(lines(root, 'train_labelled.txt')).not.toEqual(labelled);
  });

  it('02 know folders of splits above and below, and names with the words of sensors', async () => {
    const above = await folderOf({
      ...many(3, (name) => ({
        [`train/image/${name}_rgb.png`]: 'rgb',
        [`train/thermal/${name}_thermal.png`]: 'grey',
        [`train/gt/${name}_gt.png`]: [0, 1],
      })),
      ...many(2, (name) => ({
        [`test/image/${name}_rgb.png`]: 'rgb',
        [`test/thermal/${name}_thermal.png`]: 'grey',
        [`test/gt/${name}_gt.png`]: [0, 1],
      })),
    });
    const first = await writeFolderLists({ folder: above, val: 0.34 });
    expect(first.lists).toEqual({ 'train_labelled.txt': 2, 'val.txt': 1, 'test.txt': 2 });
    expect(first.modalities.map(({ name, kind }) => [name, kind])).toEqual([
      ['rgb', 'rgb'],
      ['thermal', 'grey'],
    ]);
    expect(lines(above, 'test.txt')[0]).toBe(
      'test/image/000_rgb.png\ttest/thermal/000_thermal.png\ttest/gt/000_gt.png',
    );
    const below = await folderOf(
      many(2, (name) => ({
        [`img/cloud/train/map/${name}_rgb_front.png`]: 'rgb',
        [`lidar/cloud/train/map/${name}_lidar_front.png`]: 'rgb',
        [`semantic/cloud/train/map/${name}_semantic_front.png`]: [0, 3],
        [`img/cloud/val/map/${name}_rgb_front.png`]: 'rgb',
        [`lidar/cloud/val/map/${name}_lidar_front.png`]: 'rgb',
        [`semantic/cloud/val/map/${name}_semantic_front.png`]: [0, 3],
      })),
    );
    const second = await writeFolderLists({ folder: below });
    expect(second.lists).toEqual({ 'train_labelled.txt': 2, 'val.txt': 2 });
  });

  it('03 take the folders that are named, and the end of a video', async () => {
    const root = await folderOf(
      many(10, (name) => ({
        [`cams/left/${name}.png`]: 'rgb',
        [`cams/right/${name}.png`]: 'rgb',
        [`flir/${name}.png`]: 'depth',
        [`annotation/${name}.png`]: [0, 255],
      })),
    );
    const out = join(root, 'lists');
    const named = { folder: root, modalities: { rgb: 'cams/left', heat: 'flir' } };
    const { lists, labels } = await writeFolderLists({
      ...named,
      ...{ out, val: 0.2, test: 0.1, contiguous: true },
    });
    expect(lists).toEqual({ 'train_labelled.txt': 7, 'val.txt': 2, 'test.txt': 1 });
    expect(lines(out, 'test.txt')).toEqual(['cams/left/009.png\tflir/009.png\tannotation/009.png']);
    expect(lines(out, 'val.txt')[0]).toContain('cams/left/007.png');
    expect(labels).toEqual({ classes: 2, offset: 0, map: '{ 0: 0, 255: 1 }' });
    const { data } = resolveConfig(join(out, 'data.yaml'));
    expect([data.root, data.lists?.labelled.file]).toEqual([root, 'lists/train_labelled.txt']);
    expect(data.labels?.map).toEqual({ 0: 0, 255: 1 });
    const apart = join(folder, 'apart');
    const { config } = await writeFolderLists({ ...named, out: apart });
    expect(resolveConfig(config).data).toMatchObject({
      root,
      lists: { val: { file: join(apart, 'val.txt') } },
    });
  });

  it('04 say what they lack', async () => {
    const attempt = (more: object) => writeFolderLists({ folder: join(folder, 'none'), ...more });
    await expect(attempt({})).rejects.toEqual(refused('found no folder'));
    const empty = await folderOf({ 'labels/1.png': [0, 1] });
    await expect(attempt({ folder: empty })).rejects.toEqual(
      refused('a folder of images for each'),
    );
    const apart = await folderOf({ 'rgb/a.png': 'rgb', 'depth/b.png': 'depth' });
    await expect(attempt({ folder: apart })).rejects.toEqual(refused('no scene in all of'));
    const modalities = { rgb: 'rgb', thermal: 'ir' };
    await expect(attempt({ folder: apart, modalities })).rejects.toEqual(
      refused('no images in ir'),
    );
    const two = await folderOf({ 'rgb/a.png': 'rgb', 'masks/a.png': [0], 'gt/a.png': [0] });
    await expect(attempt({ folder: two })).rejects.toEqual(refused('gt and masks'));
    expect(existsSync(join(two, 'data.yaml'))).toBe(false);
    const told = await writeFolderLists({ folder: two, label: 'gt', dryRun: true });
    expect([told.lists, existsSync(told.config)]).toEqual([{ 'train_labelled.txt': 1 }, false]);
  });
});
