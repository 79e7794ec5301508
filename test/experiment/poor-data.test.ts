import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkConfig, RunFolder, train } from 'm3l/experiment';
import { describe, expect, it } from 'vitest';
import { pattern, temporaryFolder, writeColour, writeGrey } from '../data/fixtures.js';

// Data that little can be learned of: a training runs all the same, and says what was seen.

const [WIDTH, HEIGHT] = [40, 32];
const PIXELS = WIDTH * HEIGHT;
const folder = temporaryFolder();
let sets = 0;

type Write = (file: string, k: number, unlabelled: boolean) => Promise<unknown> | unknown;

const usual: Record<'rgb' | 'depth' | 'label', Write> = {
  rgb: (file, k) => writeColour(file, WIDTH, HEIGHT, pattern(3 * PIXELS, 251, 7919 + k)),
  depth: (file, k) => writeGrey(file, WIDTH, HEIGHT, pattern(PIXELS, 5000 + k), 16),
  label: (file, k) =>
    writeGrey(
      file,
      WIDTH,
      HEIGHT,
      pattern(PIXELS, PIXELS, 1 + k).map((value) => value % 2),
    ),
};

/** The warnings of a training of two steps; its losses are finite, or it would not end. */
async function warningsOf(
  changes: Partial<typeof usual>,
  { labelled = 4, classes = 2 } = {},
): Promise<string[]> {
  const root = join(folder, `set-${sets++}`);
  for (const name of Object.keys(usual)) mkdirSync(join(root, name), { recursive: true });
  const list = async (name: string, count: number, first: number) => {
    const lines: string[] = [];
    for (let k = first; k < first + count; k++) {
      const files = Object.keys(usual).map((kind) => join(kind, `${k}.png`));
      for (const [i, write] of Object.values({ ...usual, ...changes }).entries()) {
        await write(join(root, files[i]!), k, name === 'unlabelled');
      }
      lines.push((name === 'unlabelled' ? files.slice(0, 2) : files).join('\t'));
    }
    writeFileSync(join(root, `${name}.txt`), lines.join('\n'));
  };
  await list('labelled', labelled, 0);
  await list('unlabelled', 4, 10);
  await list('val', 1, 20);
  const lists = { labelled: 'labelled.txt', unlabelled: 'unlabelled.txt', val: 'val.txt' };
  const config = checkConfig({
    data: { root, classes, lists },
    model: { backbone: 'mit-b0' },
    iterations: 2,
    batch: { labelled: 1, unlabelled: 1 },
    evaluate: { samples: 0 },
    checkpoint: { every: 0 },
    workers: 0,
    threads: 1,
  });
  const warnings: string[] = [];
  const summary = await train({
    config,
    run: RunFolder.create(config, join(root, 'run')),
    onEvent(event) {
      if (event.kind !== 'note' || !event.text.startsWith('Warning, ')) return;
      warnings.push(event.text.slice('Warning, '.length));
    },
  });
  expect(summary.evaluation.robustMeanIoU).toBeGreaterThanOrEqual(0);
  return warnings;
}

describe('poor data', () => {
  it('01 unlabelled images of another kind', async () => {
    const dark = (k: number) => pattern(3 * 4 * PIXELS, 20, 7 + k);
    const warnings = await warningsOf({
      rgb: (file, k, unlabelled) =>
        unlabelled ? writeColour(file, 4 * WIDTH, HEIGHT, dark(k)) : usual.rgb(file, k, false),
      depth: (file, k, unlabelled) =>
        unlabelled
          ? writeGrey(file, 4 * WIDTH, HEIGHT, pattern(4 * PIXELS, 200 + k))
          : usual.depth(file, k, false),
    });
    expect(warnings).toHaveLength(2);
    expect(warnings[0]).toMatch(
      /^unlabelled data: the images of 'rgb' are unlike .*160 × 32 pixels, not 40 × 32; mean levels of 0.04 to 0.05 of the range, not 0.4/,
    );
    expect(warnings[1]).toMatch(
      /'depth' are unlike .*stored as uint8, 1 channel, not uint16, 1 channel/,
    );
  });

  it('02 labels that lack a class', async () => {
    expect(await warningsOf({}, { classes: 3 })).toEqual([
      expect.stringMatching(/^labelled data: no label says 2 'class 2'/),
      expect.stringMatching(/^val data: no label says 2 'class 2'/),
    ]);
  });

  it('03 a single labelled image', async () => {
    expect(await warningsOf({}, { labelled: 1 })).toEqual([
      expect.stringMatching(/^labelled data: a single image has a label/),
    ]);
  });

  it('04 unlabelled images that are all the same', async () => {
    const same =
      (kind: 'rgb' | 'depth'): Write =>
      (file, k, unlabelled) =>
        unlabelled && k > 10
          ? copyFileSync(file.replace(`${k}.png`, '10.png'), file)
          : usual[kind](file, k, false);
    const warnings = await warningsOf({ rgb: same('rgb'), depth: same('depth') });
    expect(warnings).toEqual([
      expect.stringMatching(/^unlabelled data: all 4 unlabelled images are the same one/),
    ]);
  });

  it('05 a modality that is constant', async () => {
    const warnings = await warningsOf({
      depth: (file) => writeGrey(file, WIDTH, HEIGHT, Array(PIXELS).fill(700), 16),
    });
    expect(warnings).toEqual(
      ['labelled', 'unlabelled', 'val'].map((split) =>
        expect.stringMatching(
          new RegExp(`^${split} data: all \\d images of 'depth' .* hold one value each \\(700\\)`),
        ),
      ),
    );
  });

  it('06 says nothing of data that are as they should be', async () => {
    expect(await warningsOf({})).toEqual([]);
  });
});
