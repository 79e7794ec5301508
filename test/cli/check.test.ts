import {
  existsSync,
  mkdirSync,
  readFileSync,
  statSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { pattern, temporaryFolder, writeColour, writeGrey } from '../data/fixtures.js';
import { m3l, type Outcome } from './m3l.js';

const WIDTH = 40;
const HEIGHT = 32;
const folder = temporaryFolder();
let sets = 0;

/** Four labelled scenes and two to evaluate on; `label` gives the stored values of a scene. */
async function dataSet(
  label: (scene: number) => number[] = (k) => halves(k % 2, 1 - (k % 2)),
): Promise<{ root: string; config: string }> {
  const root = join(folder, `set-${sets++}`);
  const lists: Record<string, string[]> = { 'train.txt': [], 'val.txt': [] };
  for (let k = 0; k < 6; k++) {
    const paths = ['rgb', 'depth', 'label'].map((name) => join(name, `${k}.png`));
    for (const path of paths) mkdirSync(dirname(join(root, path)), { recursive: true });
    const rgb = pattern(3 * WIDTH * HEIGHT, 251, 7919 + k);
    await writeColour(join(root, paths[0]!), WIDTH, HEIGHT, rgb);
    await writeGrey(join(root, paths[1]!), WIDTH, HEIGHT, pattern(WIDTH * HEIGHT, 5000 + k), 16);
    await writeGrey(join(root, paths[2]!), WIDTH, HEIGHT, label(k));
    lists[k < 4 ? 'train.txt' : 'val.txt']!.push(paths.join('\t'));
  }
  for (const [name, lines] of Object.entries(lists)) {
    writeFileSync(join(root, name), `${lines.join('\n')}\n`);
  }
  const config = join(root, 'config.yaml');
  writeFileSync(
    config,
    `data:
  root: .
  classes: [floor, wall]
  lists: { labelled: train.txt, unlabelled: train.txt, val: val.txt }
  crop: 32
model: { backbone: mit-b0 }
iterations: 2
batch: { labelled: 1, unlabelled: 1 }
evaluate: { samples: 0 }
threads: 1
workers: 0
`,
  );
  return { root, config };
}

/** Labels whose upper half has one value and whose lower half another. */
function halves(above: number, below: number): number[] {
  return Array.from({ length: WIDTH * HEIGHT }, (_, i) =>
    i < (WIDTH * HEIGHT) / 2 ? above : below,
  );
}

function check(config: string, ...options: string[]): Promise<Outcome> {
  return m3l(['check', config, '--workers', '0', '--json', ...options]);
}

interface Found {
  level: string;
  code: string;
  split: string;
  message: string;
  count: number;
}

const findings = ({ stdout }: Outcome) => JSON.parse(stdout).findings as Found[];

describe('m3l check', () => {
  it('says what data hold, and draws them', async () => {
    const { root, config } = await dataSet();
    const sheet = join(root, 'sheet.png');
    const jpeg = await check(config, '--sheet', join(root, 'sheet.jpg'));
    expect(JSON.parse(jpeg.stdout).error.code).toBe('M3L_PICTURE_FORMAT');
    const outcome = await check(config, '--sheet', sheet);
    expect(outcome.code, outcome.stderr).toBe(0);
    const { splits, ...report } = JSON.parse(outcome.stdout);
    expect(report.findings).toEqual([]);
    expect(splits.labelled).toMatchObject({
      scenes: 4,
      usable: 4,
      sizes: [{ height: HEIGHT, width: WIDTH, scenes: 4 }],
    });
    const half = 2 * WIDTH * HEIGHT;
    expect(splits.labelled.labels).toMatchObject({
      pixels: 2 * half,
      void: 0,
      classes: [
        { index: 0, name: 'floor', pixels: half, scenes: 4 },
        { index: 1, name: 'wall', pixels: half, scenes: 4 },
      ],
      stored: [
        { value: 0, pixels: half },
        { value: 1, pixels: half },
      ],
    });
    expect(splits.labelled.modalities[1]).toMatchObject({
      name: 'depth',
      stored: [{ form: 'PNG, uint16, 1 channel', files: 4 }],
      range: { least: 0, scenes: 4 },
    });
    expect(splits.unlabelled.labels).toBeNull();
    expect(readFileSync(sheet).subarray(1, 4).toString()).toBe('PNG');
    // For people, and by several threads: the same facts.
    const text = await m3l(['check', config, '--full']);
    expect(text.stdout).toMatch(/labelled\s+4\s+4\s+40 × 32/);
    expect(text.stdout).toContain('Nothing found');
  });

  it('tells masks of 0 and 255, and the line that mends them', async () => {
    const { config } = await dataSet(() => halves(0, 255));
    const outcome = await check(config);
    expect(outcome.code).toBe(1);
    const [first] = findings(outcome);
    expect(first).toMatchObject({
      level: 'error',
      code: 'M3L_CHECK_ONE_CLASS',
      split: 'labelled',
    });
    expect(first!.message).toContain('0, 255');
    expect(first!.message).toContain('data.labels.map: { 255: 1 }');
    const mended = await check(config, '--set', 'data.labels.map={ 255: 1 }');
    expect(mended.code, mended.stdout).toBe(0);
  });

  it('tells values that are no class, colours too', async () => {
    const { root, config } = await dataSet((k) => (k === 5 ? halves(1, 7) : halves(0, 1)));
    expect(findings(await check(config))).toMatchObject([
      { level: 'error', code: 'M3L_LABEL_RANGE', split: 'val', count: 1 },
    ]);
    const colours = Array.from({ length: WIDTH * HEIGHT }, (_, i) =>
      i % 2 ? [255, 0, 0] : [0, 0, 9],
    );
    for (let k = 0; k < 6; k++) {
      await writeColour(join(root, `label/${k}.png`), WIDTH, HEIGHT, colours.flat());
    }
    const found = findings(await check(config));
    // Once a split: that the classes are missing follows.
    expect(found).toMatchObject([
      { code: 'M3L_LABEL_FORMAT', split: 'labelled', count: 4 },
      { code: 'M3L_LABEL_FORMAT', split: 'val', count: 2 },
    ]);
    const [, set] = /--set '(.*)'/.exec(found[0]!.message)!;
    expect(set).toBe('data.labels.map={ "#000009": 0, "#ff0000": 1 }');
    const mended = await check(config, '--set', set!);
    expect(mended.code, mended.stdout).toBe(0);
  });

  it('tells depth of which a model would see one level, and what mends it', async () => {
    const { root, config } = await dataSet();
    for (let k = 0; k < 6; k++) {
      const depth = pattern(WIDTH * HEIGHT, 900 + k);
      depth[77] = 65535;
      await writeGrey(join(root, `depth/${k}.png`), WIDTH, HEIGHT, depth, 16);
    }
    const found = findings(await check(config));
    expect(found.map(({ code }) => code)).toEqual(Array(3).fill('M3L_CHECK_LEVELS'));
    expect(found[0]).toMatchObject({ level: 'warning', split: 'labelled', count: 4 });
    expect(found[0]!.message).toMatch(/depth\/0\.png, raw values 0 to 65535.*depth\.invalid/);
    const set = (value: string) => check(config, '--set', `data.modalities.depth.${value}`);
    expect(findings(await set('invalid=65535'))).toEqual([]);
    expect(findings(await set('range=[0, 1000]'))).toEqual([]);
    // Metres of values in millimetres: all beyond.
    expect(findings(await set('range=[0, 0.5]'))[0]!.message).toContain('range is [0, 0.5]');
  });

  it('tells files that are missing, cut short, or of another size', async () => {
    const { root, config } = await dataSet();
    unlinkSync(join(root, 'depth/4.png'));
    truncateSync(join(root, 'rgb/5.png'), Math.floor(statSync(join(root, 'rgb/5.png')).size / 2));
    await writeGrey(join(root, 'label/1.png'), 20, 20, new Array(400).fill(1));
    const found = findings(await check(config));
    expect(found.map(({ code, split }) => `${code} ${split}`)).toEqual(
      expect.arrayContaining([
        'M3L_IMAGE_MISSING val',
        'M3L_IMAGE_CORRUPT val',
        'M3L_SIZE_MISMATCH labelled',
      ]),
    );
    expect(found.every(({ level }) => level === 'error')).toBe(true);
  });

  it('warns of scenes that are trained on and evaluated, and of classes that never occur', async () => {
    const { root, config } = await dataSet();
    writeFileSync(join(root, 'rgb/4.png'), readFileSync(join(root, 'rgb/2.png')));
    const outcome = await check(config, '--set', 'data.classes=[floor, wall, door]');
    expect(outcome.code).toBe(0);
    const found = findings(outcome);
    expect(found.map(({ code }) => code)).toEqual(
      expect.arrayContaining(['M3L_CHECK_SHARED', 'M3L_CHECK_ABSENT_CLASS']),
    );
    expect(found.find(({ code }) => code === 'M3L_CHECK_ABSENT_CLASS')!.message).toContain(
      "2 'door'",
    );
  });
});

describe('m3l train', () => {
  it('refuses data that would fail later, before there is a run; once mended the same --out works', async () => {
    const { root, config } = await dataSet();
    const run = join(root, 'run');
    const good = readFileSync(join(root, 'label/5.png'));
    await writeGrey(join(root, 'label/5.png'), WIDTH, HEIGHT, halves(1, 9));
    // What takes no time is looked at before the data.
    const early = await m3l(['train', config, '--out', run, '--set', 'initialise=none', '--json']);
    expect(JSON.parse(early.stdout).error.code).toBe('M3L_INITIALISE');
    const refused = await m3l(['train', config, '--out', run, '--json']);
    expect(refused.code, refused.stderr).toBe(1);
    expect(JSON.parse(refused.stdout).error.code).toBe('M3L_LABEL_RANGE');
    expect(refused.stderr).toContain('label/5.png');
    expect(existsSync(run)).toBe(false);
    writeFileSync(join(root, 'label/5.png'), good);
    const trained = await m3l(['train', config, '--out', run, '--json']);
    expect(trained.code, trained.stderr).toBe(0);
  });
});
