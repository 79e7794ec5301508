import { join } from 'node:path';
import {
  IMAGENET_MEAN,
  IMAGENET_STD,
  type LoadedSample,
  labelRule,
  type NearestRule,
  Random,
  SampleLoader,
  TRAINING_SCALES,
  type Transform,
} from 'm3l/data';
import { beforeAll, describe, expect, it } from 'vitest';
import { pattern, temporaryFolder, writeColour, writeGrey } from './fixtures.js';

const folder = temporaryFolder();
const file = (name: string) => join(folder, name);
const [width, height] = [23, 17];
const colour = pattern(width * height * 3, 256);
const depth = pattern(width * height, 60000, 1873);
const label = pattern(width * height, 13).map((value, i) => (i % 29 === 0 ? 255 : value));

beforeAll(async () => {
  await writeColour(file('c.png'), width, height, colour);
  await writeGrey(file('d.png'), width, height, depth, 16);
  await writeGrey(file('l.png'), width, height, label);
});

const options = {
  modalities: [
    { name: 'rgb', kind: 'rgb' },
    { name: 'depth', kind: 'depth' },
  ],
  labelRule: labelRule({ numClasses: 13 }),
  seed: 7,
  cacheBytes: 0,
} as const;

function load(transform: Transform, position = 0, resize: [number, number] | null = null) {
  const loader = new SampleLoader({ ...options, resize, transform });
  const sample = { name: 'a', files: [file('c.png'), file('d.png')], label: file('l.png') };
  return loader.load({ sample, index: 0, epoch: 0, position });
}

/** One channel of a whole picture. */
type Grid = number[][];

function grid(values: ArrayLike<number>, channel = 0, channels = 1): Grid {
  return Array.from({ length: height }, (_, y) =>
    Array.from({ length: width }, (_, x) => values[(y * width + x) * channels + channel]!),
  );
}

const flipped = (g: Grid): Grid => g.map((row) => [...row].reverse());

function scaled(g: Grid, rows: number, columns: number, smooth: boolean): Grid {
  const at = (y: number, x: number) =>
    g[Math.min(g.length - 1, Math.max(0, y))]![Math.min(g[0]!.length - 1, Math.max(0, x))]!;
  return Array.from({ length: rows }, (_, i) =>
    Array.from({ length: columns }, (_, j) => {
      const y = ((i + 0.5) * g.length) / rows;
      const x = ((j + 0.5) * g[0]!.length) / columns;
      if (!smooth) return at(Math.floor(y), Math.floor(x));
      const [top, left] = [Math.floor(y - 0.5), Math.floor(x - 0.5)];
      const [v, u] = [y - 0.5 - top, x - 0.5 - left];
      const above = at(top, left) * (1 - u) + at(top, left + 1) * u;
      return above * (1 - v) + (at(top + 1, left) * (1 - u) + at(top + 1, left + 1) * u) * v;
    }),
  );
}

/** Crops or pads to the crop size, padding split evenly. */
function windowOf(
  g: Grid,
  crop: readonly [number, number],
  top: number,
  left: number,
  pad: number,
) {
  const padTop = Math.max(0, Math.floor((crop[0] - g.length) / 2));
  const padLeft = Math.max(0, Math.floor((crop[1] - g[0]!.length) / 2));
  return Array.from({ length: crop[0] * crop[1] }, (_, i) => {
    const y = Math.floor(i / crop[1]) - padTop + top;
    const x = (i % crop[1]) - padLeft + left;
    return g[y]?.[x] ?? pad;
  });
}

/** The plain reading of m3l.md section 7: whole pictures, one step after another. */
function reference(crop: readonly [number, number], position: number): LoadedSample {
  // The draws in the order that the loader documents: flip, scale, across, down.
  const random = new Random(1, 7, 0, position);
  const flip = random.chance(0.5);
  const scale = random.pick(TRAINING_SCALES);
  const [columns, rows] = [Math.round(width * scale), Math.round(height * scale)];
  const left = columns > crop[1] ? random.integer(columns - crop[1] + 1) : 0;
  const top = rows > crop[0] ? random.integer(rows - crop[0] + 1) : 0;
  const make = (g: Grid, smooth: boolean, pad: number) =>
    windowOf(scaled(flip ? flipped(g) : g, rows, columns, smooth), crop, top, left, pad);
  const rgb = [0, 1, 2].flatMap((c) =>
    make(grid(colour, c, 3), true, 0).map((v) => (v / 255 - IMAGENET_MEAN[c]!) / IMAGENET_STD[c]!),
  );
  const [least, most] = [Math.min(...depth), Math.max(...depth)];
  const unit = depth.map((value) => (value - least) / (most - least));
  const one = label.map(() => 1);
  return {
    name: 'a',
    height: crop[0],
    width: crop[1],
    labelHeight: crop[0],
    labelWidth: crop[1],
    planes: [Float32Array.from(rgb), Float32Array.from(make(grid(unit), false, 0))],
    label: Uint8Array.from(make(grid(label), false, 255)),
    valid: Uint8Array.from(make(grid(one), false, 0)),
  };
}

describe('training transform', () => {
  it.each([
    [12, 12],
    [17, 23],
    [30, 20],
    [15, 40],
    [64, 64],
  ] as [number, number][])(
    'agrees with whole-picture steps for a crop of %i × %i',
    async (...crop) => {
      for (let position = 0; position < 24; position++) {
        const found = await load({ kind: 'training', crop }, position);
        const expected = reference(crop, position);
        expect(found.planes[0]!.length).toBe(expected.planes[0]!.length);
        for (const m of [0, 1]) {
          const error = found.planes[m]!.reduce(
            (worst, value, i) => Math.max(worst, Math.abs(value - expected.planes[m]![i]!)),
            0,
          );
          expect(error).toBeLessThan(2e-6);
        }
        expect(found.label).toEqual(expected.label);
        expect(found.valid).toEqual(expected.valid);
      }
    },
  );

  it('pads with black before the normalisation, depth 0, label 255, evenly', async () => {
    const crop = [21, 30] as const;
    const { planes, label: labels, valid } = await load({ kind: 'training', crop, scales: [1] });
    // 4 rows: 2 and 2; 7 columns: 3 and 4.
    const inside = (i: number) => {
      const [y, x] = [Math.floor(i / 30), i % 30];
      return y >= 2 && y < 19 && x >= 3 && x < 26;
    };
    for (let i = 0; i < 21 * 30; i++) {
      expect(valid![i]).toBe(inside(i) ? 1 : 0);
      if (inside(i)) continue;
      expect(labels![i]).toBe(255);
      expect(planes[1]![i]).toBe(0);
      expect(planes[0]![i]).toBeCloseTo(-IMAGENET_MEAN[0] / IMAGENET_STD[0], 5);
    }
  });

  it('draws every scale, and flips about half the time', async () => {
    const crop = [4, 4] as const;
    let flips = 0;
    for (let position = 0; position < 200; position++) {
      const found = await load({ kind: 'training', crop: [17, 23], scales: [1] }, position);
      if (found.label![1] !== label[1]) flips++;
    }
    expect(flips).toBeGreaterThan(75);
    expect(flips).toBeLessThan(125);
    const never = await load({ kind: 'training', crop: [17, 23], scales: [1], flip: 0 });
    expect([...never.label!]).toEqual(label);
    expect((await load({ kind: 'training', crop, flip: 1 })).label!.length).toBe(16);
  });
});

describe('evaluation transform', () => {
  it('resizes the inputs and leaves the label', async () => {
    const found = await load({ kind: 'evaluation', size: [34, 46] });
    expect([found.height, found.width, found.labelHeight, found.labelWidth]).toEqual([
      34, 46, 17, 23,
    ]);
    expect([...found.label!]).toEqual(label);
    expect(found.valid).toBeNull();
    const red = scaled(grid(colour, 0, 3), 34, 46, true).flat();
    const expected = red.map((v) => (v / 255 - IMAGENET_MEAN[0]) / IMAGENET_STD[0]);
    for (const i of [0, 1, 45, 46, 700, 34 * 46 - 1]) {
      expect(found.planes[0]![i]).toBeCloseTo(expected[i]!, 5);
    }
  });

  it('first reduces by `resize` with antialiasing; the label stays', async () => {
    const found = await load({ kind: 'evaluation' }, 0, [8, 11]);
    expect([found.height, found.width, found.labelHeight]).toEqual([8, 11, 17]);
    const mean = (values: ArrayLike<number>) =>
      Array.from(values).reduce((sum, value) => sum + value, 0) / values.length;
    const red = found.planes[0]!.subarray(0, 88).map(
      (v) => (v * IMAGENET_STD[0] + IMAGENET_MEAN[0]) * 255,
    );
    expect(Math.abs(mean(red) - mean(grid(colour, 0, 3).flat()))).toBeLessThan(4);
    const training = await load(
      { kind: 'training', crop: [8, 11], scales: [1], flip: 0 },
      0,
      [8, 11],
    );
    expect([...training.label!]).toEqual(scaled(grid(label), 8, 11, false).flat());
  });
});

describe('the nearest pixel', () => {
  // Of cv2.resize(numpy.arange(source), (target, 1), interpolation=cv2.INTER_NEAREST).
  const cases = [
    [5, 3, [0, 1, 3], [0, 2, 4]],
    [8, 2, [0, 4], [2, 6]],
    [3, 7, [0, 0, 0, 1, 1, 2, 2], [0, 0, 1, 1, 1, 2, 2]],
    [2, 4, [0, 0, 1, 1], [0, 0, 1, 1]],
  ] as const;

  it.each(cases)("of %i pixels scaled to %i is OpenCV's, or half-pixel", async (...given) => {
    const [source, target, opencv, halfPixel] = given;
    const names = ['c', 'd', 'l'].map((kind) => file(`${kind}-${source}-${target}.png`));
    const row = Array.from({ length: source }, (_, i) => i);
    await writeColour(names[0]!, source, 1, Array(3 * source).fill(9));
    await writeGrey(names[1]!, source, 1, row, 16);
    await writeGrey(names[2]!, source, 1, row);
    const read = async (nearest: NearestRule | undefined, flip: 0 | 1, resized = false) => {
      const scales = [resized ? 1 : target / source];
      const crop = [1, target] as const;
      const loader = new SampleLoader({
        ...options,
        resize: resized ? crop : null,
        transform: { kind: 'training', crop, flip, scales, nearest },
      });
      const sample = { name: 'n', files: names.slice(0, 2), label: names[2]! };
      const { planes, label: labels } = await loader.load({
        ...{ sample, index: 0, epoch: 0, position: 0 },
      });
      if (!resized) {
        const depths = [...planes[1]!].map((value) => Math.round(value * (source - 1)));
        expect(depths).toEqual([...labels!]);
      }
      return [...labels!];
    };
    const mirrored = (indices: readonly number[]) => indices.map((i) => source - 1 - i);
    expect(await read('opencv', 0)).toEqual(opencv);
    expect(await read('opencv', 1)).toEqual(mirrored(opencv));
    expect(await read('opencv', 0, true)).toEqual(opencv);
    expect(await read(undefined, 0)).toEqual(halfPixel);
    expect(await read('half-pixel', 1)).toEqual(mirrored(halfPixel));
    expect(await read(undefined, 0, true)).toEqual(halfPixel);
  });
});
