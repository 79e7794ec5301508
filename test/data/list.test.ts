import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ListDataset, readList, readNames, underRoot, withoutLabels } from 'm3l/data';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from './fixtures.js';

const folder = temporaryFolder();
const shared = process.env.M3L_SHARED ?? join(import.meta.dirname, '../../../shared');

function list(name: string, content: string | Buffer): string {
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
        message: `${file}:3: found 2 columns, expected 3 (2 images and a label), separated by tabs or commas. Mend the line.`,
      }),
    );
    expect(() => readList(list('four.txt', 'a\tb\tc\td\n'), { root: '/' })).toThrow(
      'found 4 columns, expected 2',
    );
    expect(() => readList(list('space.txt', 'a b c\n'), { root: '/' })).toThrow('use tabs');
    expect(() => readList(list('empty.txt', 'a\t\tc\n'), { root: '/' })).toThrow('an empty column');
    const unlabelled = list('u.txt', 'a\tb\n');
    expect(() => readList(list('bare.txt', 's0\n'), { root: '/', labelled: true })).toThrow(
      /found 1 column, expected 3 .*data\.files/,
    );
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

describe('lists as other programs save them', () => {
  const rows = 'rgb/é.png\tdepth/é.png\tlabel/é.png\r\nrgb/b.png\tdepth/b.png\tlabel/b.png\r\n';
  const root = join(folder, 'set');
  const expected = ['é', 'b'].map((name) => ({
    name: `rgb/${name}.png`,
    files: [join(root, `rgb/${name}.png`), join(root, `depth/${name}.png`)],
    label: join(root, `label/${name}.png`),
  }));
  const swapped = (text: string) => Buffer.from(text, 'utf16le').swap16();
  const commas = rows.replaceAll('\t', ',');
  const quoted = rows.replace(/[^\t\r\n]+/g, '"$&"').replaceAll('\t', ', ');

  it.each<[string, string | Buffer]>([
    ['UTF-8', rows],
    ['UTF-8 with a mark', `\uFEFF${rows}`],
    ['UTF-16LE', Buffer.from(`\uFEFF${rows}`, 'utf16le')],
    ['UTF-16BE', swapped(`\uFEFF${rows}`)],
    ['UTF-16LE without a mark', Buffer.from(rows, 'utf16le')],
    ['UTF-16BE without a mark', swapped(rows)],
    ['CR', rows.replaceAll('\r\n', '\r')],
    ['a header', `RGB\tDepth_path\tlabel\n${rows}`],
    ['a comment and a header', `# made by hand, today\nimage,depth,mask\n${commas}`],
    ['commas', commas],
    ['quotes and commas', quoted],
    ['semicolons', rows.replaceAll('\t', ';')],
  ])('%s', (_, content) => {
    expect(readList(list('other.txt', content), { root })).toEqual(expected);
    expect(readList(list('other.txt', content), { root, labelled: true })).toEqual(expected);
  });

  it('takes what modalities are called for a header, but no file', () => {
    const content = 'left\tright\nrgb\tdepth\n';
    const options = { root, names: ['left', 'right'] };
    const bare = list('bare.txt', content);
    expect(readList(bare, options)[0]!.name).toBe('rgb');
    mkdirSync(root, { recursive: true });
    writeFileSync(join(root, 'left'), '');
    expect(readList(bare, options).map(({ name }) => name)).toEqual(['left', 'rgb']);
    writeFileSync(join(root, '#1'), '');
    const hash = list('hash.txt', '#1\ta\n#2\tb\n');
    expect(readList(hash, options).map(({ name }) => name)).toEqual(['#1']);
    expect(() => readList(list('only.txt', 'rgb\tdepth\n'), { root })).toThrow(
      expect.objectContaining({ code: 'M3L_LIST_EMPTY' }),
    );
    // A folder of that name is no sample.
    mkdirSync(join(root, 'rgb'));
    expect(readList(list('head.txt', `rgb\tdepth\tlabel\n${rows}`), { root })).toEqual(expected);
  });

  it('keeps commas in names where tabs separate, and quoted ones', () => {
    const tabs = readList(list('c.txt', 'a,1.png\tb,1.png\n'), { root: '/r' });
    expect(tabs[0]!.files).toEqual(['/r/a,1.png', '/r/b,1.png']);
    const quoted = readList(list('q.txt', '"a,1.png","b ""x"".png"\n'), { root: '/r' });
    expect(quoted[0]!.files).toEqual(['/r/a,1.png', '/r/b "x".png']);
    const names = readNames(list('n.txt', 'a,1.png\n'), {
      root: '/r',
      files: ['{name}'],
      label: null,
    });
    expect(names[0]!.files).toEqual(['/r/a,1.png']);
  });

  it('takes absolute paths that are there and not under the root', () => {
    const outside = join(folder, 'outside.png');
    writeFileSync(outside, '');
    expect(underRoot(root, outside)).toBe(outside);
    expect(underRoot(root, '/outside.png')).toBe(join(root, 'outside.png'));
    mkdirSync(join(root, folder), { recursive: true });
    writeFileSync(join(root, outside), '');
    expect(underRoot(root, outside)).toBe(join(root, outside));
    expect(underRoot('/a/b', '../c.png')).toBe('/a/c.png');
    const [sample] = readNames(list('x.txt', 'outside.png\n'), {
      root: '/nowhere',
      files: [`${folder}/{name}`],
      label: null,
    });
    expect(sample!.files).toEqual([outside]);
  });

  it('looks at a first cell that no file can be called as at any other', () => {
    const long = 'n'.repeat(5000);
    const text = `# ${long}\n${long}\tdepth.png\n`;
    const [sample] = readList(list('long.txt', text), { root });
    expect(sample!.name).toBe(long);
  });

  it('refuses NUL, what is no text, and what is no file', () => {
    expect(() => readList(list('nul.txt', 'a.png\tb.png\na\0.png\tb.png\n'), { root })).toThrow(
      expect.objectContaining({
        code: 'M3L_LIST_TEXT',
        message: expect.stringContaining('nul.txt:2: found a NUL character'),
      }),
    );
    expect(() => readList(list('bytes.txt', Buffer.from([0x61, 0xe9, 0x0a])), { root })).toThrow(
      expect.objectContaining({ code: 'M3L_LIST_TEXT' }),
    );
    execFileSync('mkfifo', [join(folder, 'fifo.txt')]);
    for (const file of [join(folder, 'fifo.txt'), '/dev/zero', folder, 'nul\0.txt']) {
      expect(() => readList(file, { root })).toThrow(
        expect.objectContaining({ code: 'M3L_LIST_MISSING' }),
      );
    }
  });
});

describe('readNames', () => {
  it('takes names with $ as they are', () => {
    const names = ['$&.png', '$$.png', "$'.png", '$1.png'];
    const read = readNames(list('dollar.txt', `name\n${names.join('\n')}\n`), {
      root: '/p',
      files: ['rgb/{name}'],
      label: 'label/{name}',
    });
    expect(read.map(({ files }) => files[0])).toEqual(names.map((name) => `/p/rgb/${name}`));
    expect(read.map(({ label }) => label)).toEqual(names.map((name) => `/p/label/${name}`));
  });

  const files = ['rgb/{name}', 'disp16/{name}'];

  it('fills the name into each pattern', () => {
    const names = list('names.txt', 'a.png\nb.png\n');
    expect(readNames(names, { root: '/p', files, label: 'label/{name}' })[1]).toEqual({
      name: 'b.png',
      files: ['/p/rgb/b.png', '/p/disp16/b.png'],
      label: '/p/label/b.png',
    });
  });

  it('takes a name with $ as it stands', () => {
    const names = list('dollars.txt', "$&.png\n$$\n$'\n");
    const samples = readNames(names, { root: '/p', files: ['rgb/{name}'], label: null });
    expect(samples.map((sample) => sample.files[0])).toEqual([
      '/p/rgb/$&.png',
      '/p/rgb/$$',
      "/p/rgb/$'",
    ]);
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
