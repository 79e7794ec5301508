import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { splitList } from 'm3l/data';
import { describe, expect, it } from 'vitest';
import { fractionSize, labelOrder } from '../../../dist/data/sets/fractions.js';
import { temporaryFolder, writeGrey } from '../fixtures.js';

const folder = temporaryFolder();
const lines = (file: string) => readFileSync(file, 'utf8').split('\n').slice(0, -1);

describe('the order of labels', () => {
  it('01 is one order, whatever the fraction: seeded, each sample once', () => {
    const order = labelOrder(1000, 3);
    expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: 1000 }, (_, i) => i));
    expect(labelOrder(1000, 3)).toEqual(order);
    expect(labelOrder(1000, 4)).not.toEqual(order);
  });

  it('02 gives every class about its share at every length, rare ones at once', () => {
    // Class 0 everywhere, 1 in every other sample, 2 in 20 of 400, 3 in 2; some have none.
    const present = Array.from({ length: 400 }, (_, i) => {
      if (i % 50 === 49) return new Set<number>();
      return new Set([
        0,
        ...(i % 2 ? [1] : []),
        ...(i % 20 === 0 ? [2] : []),
        ...(i === 7 || i === 300 ? [3] : []),
      ]);
    });
    const order = labelOrder(400, 1, present);
    expect(new Set(order).size).toBe(400);
    const share = (length: number, one: number) => {
      const met = order.slice(0, length).filter((sample) => present[sample]!.has(one)).length;
      return met / present.filter((classes) => classes.has(one)).length;
    };
    for (const length of [25, 50, 100, 200]) {
      for (const one of [0, 1, 2]) {
        expect(Math.abs(share(length, one) - length / 400), `${one} of ${length}`).toBeLessThan(
          0.06,
        );
      }
    }
    // All four classes are among the first four samples.
    expect(new Set(order.slice(0, 4).flatMap((sample) => [...present[sample]!])).size).toBe(4);
  });

  it('03 has the sizes of the paper', () => {
    const sizes = (count: number, of: number[]) => of.map((one) => fractionSize(count, one));
    expect(sizes(49_199, [1000, 500, 100])).toEqual([49, 98, 491]);
    expect(sizes(4757, [16, 8, 4])).toEqual([297, 594, 1189]);
    expect(fractionSize(5, 16)).toBe(1);
  });
});

describe('splits of a list', () => {
  it('04 are nested, complementary, and keep lines as they are', async () => {
    const list = join(folder, 'train.txt');
    const all = Array.from(
      { length: 40 },
      (_, i) => `/rgb/${i}.jpg\t/depth/${i}.png\t/label/${i}.png`,
    );
    writeFileSync(list, `image\tdepth\tlabel\n# a remark\n${all.join('\r\n')}\r\n`);
    const { samples, fractions } = await splitList({ list, fractions: [16, 8, 4, 1] });
    expect([samples, fractions.map(({ labelled }) => labelled.samples)]).toEqual([
      40,
      [2, 5, 10, 40],
    ]);
    const sets = [16, 8, 4].map((one) => ({
      labelled: lines(join(folder, `train_labeled_1-${one}.txt`)),
      unlabelled: lines(join(folder, `train_unlabeled_1-${one}.txt`)),
    }));
    for (const [k, { labelled, unlabelled }] of sets.entries()) {
      for (const line of labelled) expect(sets[k + 1]?.labelled ?? all).toContain(line);
      const both = [...labelled.map((line) => line.replace(/\t[^\t]*$/, '')), ...unlabelled];
      expect(both.sort()).toEqual(all.map((line) => line.replace(/\t[^\t]*$/, '')).sort());
    }
    // All are labelled: nothing is left for the other list.
    expect(existsSync(join(folder, 'train_unlabeled_1-1.txt'))).toBe(false);
    await splitList({ list, fractions: [16] });
    const refused = expect.objectContaining({ code: 'M3L_LIST_THERE' });
    await expect(splitList({ list, fractions: [16], seed: 2 })).rejects.toEqual(refused);
    const out = join(folder, 'other');
    await splitList({ list, fractions: [16], seed: 2, out });
    expect(lines(join(out, 'train_labeled_1-16.txt'))).not.toEqual(sets[0]!.labelled);
  });

  it('05 are stratified by what labels hold, of bare names too', async () => {
    mkdirSync(join(folder, 'label'));
    const names = Array.from({ length: 12 }, (_, i) => `scene${i}`);
    for (const [i, name] of names.entries()) {
      // Void 0 everywhere, 1 in all, 2 in two, 3 in one.
      const values = [0, 1, i === 3 || i === 8 ? 2 : 1, i === 5 ? 3 : 1];
      await writeGrey(join(folder, `label/${name}.png`), 2, 2, values);
    }
    const list = join(folder, 'names.txt');
    writeFileSync(list, names.join('\n'));
    const options = { list, fractions: [4], stratify: true, void: [0, 255], dryRun: true };
    const { fractions } = await splitList({ ...options, label: 'label/{name}.png' });
    expect(fractions[0]!.classes).toEqual({ 1: 3, 2: 1, 3: 1 });
    const wrong = expect.objectContaining({ code: 'M3L_DATA_OPTIONS' });
    await expect(splitList(options)).rejects.toEqual(wrong);
    await expect(splitList({ ...options, label: 'label/x.png' })).rejects.toEqual(wrong);
    for (const fractions of [[], [0], [1.5]]) {
      await expect(splitList({ list, fractions })).rejects.toEqual(wrong);
    }
  });
});
