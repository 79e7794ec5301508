import {
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../data/fixtures.js';
import { mfnet, nyuExport } from '../data/sets/raw-sets.js';
import { m3l } from './m3l.js';

const folder = temporaryFolder();

describe('m3l data prepare', () => {
  it('01 prepares, checks what it made, and says how to go on; again does nothing', async () => {
    const [raw, out] = [join(folder, 'mfnet-raw'), join(folder, 'mfnet')];
    await mfnet(raw);
    const first = await m3l(['data', 'prepare', 'mfnet', raw, out]);
    expect(first.code, first.stderr).toBe(0);
    expect(first.stdout).toContain('4 scenes to train on, 2 to validate on, 1 to test on.');
    expect(first.stdout).toContain('14 files made, 0 there already.');
    expect(first.stdout).toContain(`m3l train mfnet --set data.root=${out}`);
    expect(first.stderr).toMatch(/mfnet.*7\/7/);
    const again = await m3l(['data', 'prepare', 'mfnet', raw, out, '--no-check', '--json']);
    expect(JSON.parse(again.stdout)).toMatchObject({
      ...{ made: 0, kept: 14, check: null },
      lists: { 'train.txt': 4, 'train_labeled_1-16.txt': 1, 'val.txt': 2, 'test.txt': 1 },
    });
  });

  it('02 fails for a scene that cannot be used', async () => {
    const [raw, out] = [join(folder, 'nyu-raw'), join(folder, 'nyu')];
    await nyuExport(raw);
    truncateSync(join(raw, 'train/labels_40/0005.png'), 40);
    const spoilt = await m3l(['data', 'prepare', 'nyuv2', raw, out]);
    expect(spoilt.code).toBe(1);
    expect(spoilt.stdout).toMatch(/left out: rgb\/0005.png: .*cannot be decoded/);
    const wrong = await m3l(['data', 'prepare', 'nyu', raw, out, '--json']);
    expect([wrong.code, JSON.parse(wrong.stdout).error.code]).toEqual([2, 'M3L_DATA_SET_NAME']);
    const other = await m3l(['data', 'prepare', 'deliver', raw, join(folder, 'x')]);
    expect([other.code, other.stderr]).toEqual([
      1,
      expect.stringContaining('img/cloud/train/MAP_…/000000_rgb_front.png'),
    ]);
    const sets = JSON.parse((await m3l(['data', 'sets', '--json'])).stdout);
    expect(sets.map(({ name }: { name: string }) => name)).toContain('stanford-indoor');
  });
});

describe('m3l data prepare, interrupted', () => {
  it('03 ends with what it made, and goes on', async () => {
    const [raw, out] = [join(folder, 'long-raw'), join(folder, 'long')];
    await mfnet(raw);
    const names = Array.from({ length: 600 }, (_, i) => `copy${i}`);
    for (const name of names) {
      for (const part of ['images', 'labels']) {
        copyFileSync(join(raw, part, '00001D.png'), join(raw, part, `${name}.png`));
      }
    }
    writeFileSync(join(raw, 'train.txt'), names.join('\n'));
    const command = ['data', 'prepare', 'mfnet', raw, out, '--no-check', '--json'];
    let sent = false;
    const stopped = await m3l([...command, '--workers', '1'], {
      onStderr(text, child) {
        if (sent || !text.includes('/603')) return;
        sent = child.kill('SIGINT');
      },
    });
    expect([stopped.code, JSON.parse(stopped.stdout).error.code]).toEqual([130, 'M3L_INTERRUPTED']);
    expect(existsSync(join(out, 'train.txt'))).toBe(false);
    const rest = JSON.parse((await m3l(command)).stdout);
    expect(rest.kept).toBeGreaterThan(0);
    expect([rest.made + rest.kept, rest.scenes.train]).toEqual([1206, 600]);
  });
});

describe('m3l data lists and m3l splits', () => {
  it('04 go from folders to nested lists that train', async () => {
    const root = join(folder, 'robot');
    const rooms = ['rooms', root, '--labelled', '12', '--unlabelled', '0', '--val', '1'];
    const made = await m3l([...rooms, '--size', '48x64']);
    expect(made.code, made.stderr).toBe(0);
    for (const list of readdirSync(root).filter((name) => name.endsWith('.txt'))) {
      writeFileSync(join(root, list), '');
    }
    const lists = await m3l(['data', 'lists', root, '--val', '0.25', '--force']);
    expect(lists.code, lists.stderr).toBe(0);
    expect(lists.stdout).toContain('depth: depth (depth)');
    const train = join(root, 'train_labelled.txt');
    const split = ['splits', train, '--fractions', '1/5,1/2', '--stratify', '--json'];
    const { stdout, code } = await m3l(split);
    expect(code).toBe(0);
    const [fifth] = JSON.parse(stdout).fractions;
    expect([fifth.denominator, fifth.labelled.samples]).toEqual([5, 2]);
    const half = readFileSync(join(root, 'train_labeled_1-2.txt'), 'utf8');
    for (const line of readFileSync(fifth.labelled.file, 'utf8').trim().split('\n')) {
      expect(half).toContain(line);
    }
    const config = join(root, 'data.yaml');
    const trained = await m3l([
      ...['train', config, '--out', join(folder, 'run'), '--json', '--set'],
      'data.lists.labelled=train_labeled_1-5.txt',
      'data.lists.unlabelled=train_unlabeled_1-5.txt',
      ...['data.crop=32', 'batch.labelled=1', 'batch.unlabelled=1', 'iterations=1', 'workers=0'],
      ...['evaluate.every=1', 'evaluate.samples=0', 'model.backbone=mit-b0', 'threads=1'],
    ]);
    expect(trained.code, trained.stderr).toBe(0);
  });

  it('05 name what is wrong with what was typed', async () => {
    const bad = await m3l(['splits', join(folder, 'x.txt'), '--fractions', 'half']);
    expect([bad.code, bad.stderr]).toEqual([2, expect.stringContaining('such as 1/16,1/8,1/4')]);
    const none = await m3l(['splits', join(folder, 'x.txt')]);
    expect([none.code, none.stderr]).toEqual([1, expect.stringContaining('M3L_LIST_MISSING')]);
    const empty = await m3l(['data', 'lists', join(folder, 'nowhere')]);
    expect([empty.code, empty.stderr]).toEqual([1, expect.stringContaining('M3L_DATA_FOLDER')]);
  });
});
