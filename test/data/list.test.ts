import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ListDataset, readList, readNames, withoutLabels } from 'm3l/data';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from './fixtures.js';

const folder = temporaryFolder();
const shared = process.env.M3L_SHARED ?? join(import.meta.dirname, '../../../shared');

function list(name: string, content: string): string {
  const file = join(folder, name);
  writeFileSync(file, content);
  return file;
}

describe('readList', () => {
  it('reads labelled and unlabelled lines, with or without a leading slash, CRLF and blank lines', () => {
    const labelled = readList(list('a.txt', '/a.png\t/b.png\tc.png\r\n\r\nd.png\te.png\t/f.png'), {
      root: '/data',
    });
    expect(labelled).toEqual([
      { name: '/a.png', files: ['/data/a.png', '/data/b.png'], label: '/data/c.png' },
      { name: 'd.png', files: ['/data/d.png', '/data/e.png'], label: '/data/f.png' },
    ]);
    const unlabelled = readList(list('b.txt', 'a.png\tb.png\n'), { root: '/data' });
    expect(unlabelled[0]).toMatchObject({ label: null });
    expect(withoutLabels(labelled).map((sample) => sample.label)).toEqual([null, null]);
  });

  it('takes any number of modalities, and a root for each column', () => {
    const [sample] = readList(list('m.txt', 'a\tb\tc\td\n'), {
      root: ['/r', '/d', '/t', '/l'],
      modalities: 3,
    });
    expect(sample).toEqual({ name: 'a', files: ['/r/a', '/d/b', '/t/c'], label: '/l/d' });
  });

  it('says in which line the columns are wrong', () => {
    const file = list('bad.txt', 'a\tb\tc\n\na\tb\n');
    expect(() => readList(file, { root: '/' })).toThrow(
      expect.objectContaining({
        code: 'M3L_LIST_COLUMNS',
        message: `${file}:3: found 2 columns, expected 3 (2 images and a label), separated by tabs. Mend the line.`,
      }),
    );
    expect(() => readList(list('four.txt', 'a\tb\tc\td\n'), { root: '/' })).toThrow(
      'found 4 columns, expected 2',
    );
    expect(() => readList(list('space.txt', 'a b c\n'), { root: '/' })).toThrow('use tabs');
    expect(() => readList(list('empty.txt', 'a\t\tc\n'), { root: '/' })).toThrow('an empty column');
    const unlabelled = list('u.txt', 'a\tb\n');
    expect(() => readList(unlabelled, { root: '/', labelled: true })).toThrow('found 2 columns');
  });

  it('refuses a missing and an empty list', () => {
    expect(() => readList(join(folder, 'none.txt'), { root: '/' })).toThrow(
      expect.objectContaining({ code: 'M3L_LIST_MISSING' }),
    );
    expect(() => readList(list('blank.txt', '\n \n'), { root: '/' })).toThrow(
      expect.objectContaining({ code: 'M3L_LIST_EMPTY' }),
    );
  });
});

describe('readNames', () => {
  const files = ['rgb/{name}', 'disp16/{name}'];

  it('fills the name into each pattern', () => {
    const names = list('names.txt', 'a.png\nb.png\n');
    expect(readNames(names, { root: '/p', files, label: 'label/{name}' })[1]).toEqual({
      name: 'b.png',
      files: ['/p/rgb/b.png', '/p/disp16/b.png'],
      label: '/p/label/b.png',
    });
  });

  it('refuses a pattern without a name, and a line of paths', () => {
    const names = list('names2.txt', 'a.png\n');
    expect(() => readNames(names, { root: '/', files: ['rgb.png'], label: null })).toThrow(
      expect.objectContaining({ code: 'M3L_DATA_OPTIONS' }),
    );
    const paths = list('paths.txt', 'a.png\tb.png\n');
    expect(() => readNames(paths, { root: '/', files, label: null })).toThrow(
      'paths.txt:1: found 2',
    );
  });
});

describe('ListDataset', () => {
  const modalities = [
    { name: 'rgb', kind: 'rgb' },
    { name: 'depth', kind: 'depth' },
  ] as const;
  const sample = { name: 'a', files: ['a', 'b'], label: 'c' };

  it('refuses options that cannot be right', () => {
    const bad = (options: object) => () =>
      new ListDataset({ samples: [sample], modalities, numClasses: 13, ...options });
    for (const options of [
      { numClasses: 0 },
      { numClasses: 256 },
      { labelOffset: -1 },
      { modalities: [] },
      { samples: [{ ...sample, files: ['a'] }] },
      { samples: [sample, { ...sample, label: null }] },
    ]) {
      expect(bad(options)).toThrow(expect.objectContaining({ code: 'M3L_DATA_OPTIONS' }));
    }
    expect(bad({ samples: [] })).toThrow(expect.objectContaining({ code: 'M3L_LIST_EMPTY' }));
  });
});

const official = join(shared, 'data/official-lists');
if (!existsSync(official)) console.warn(`skipped: the paper's lists are not at ${official}`);

describe.skipIf(!existsSync(official))("the paper's lists", () => {
  const expected: Record<string, [number, boolean]> = {
    'stanford_indoor_dataset-configs-config_rgbd-train_config-train_labeled_1-1000.txt': [49, true],
    'sunrgbd-config-train_config_rgbd-train_labeled_1-16.txt': [297, true],
    'sunrgbd-config-train_config_rgbd-train_unlabeled_1-16.txt': [4460, false],
    'sunrgbd-config-val_rgbd_531_681.txt': [64, true],
  };

  it.each(readdirSync(existsSync(official) ? official : folder))('%s', (name) => {
    const samples = readList(join(official, name), { root: '/sets' });
    const known = expected[name];
    if (known) expect(Math.abs(samples.length - known[0])).toBeLessThanOrEqual(1);
    if (known) expect(samples[0]!.label !== null).toBe(known[1]);
    for (const { files } of samples) for (const file of files) expect(file).toMatch(/^\/sets\/\w/);
  });
});
