import { join } from 'node:path';
import { torch } from 'm3l';
import { classColours, readGrey, readLabels } from 'm3l/data';
import {
  type ImagePredictor,
  type OpenPredictorOptions,
  openPredictor,
  predict,
  RunFolder,
} from 'm3l/experiment';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type TinyRun, tinyRun } from '../helpers/tiny-run.js';

let tiny: TinyRun;

beforeAll(async () => {
  tiny = await tinyRun();
}, 120_000);
afterAll(() => tiny.remove());

async function opened(
  options: OpenPredictorOptions,
  use: (predictor: ImagePredictor) => Promise<void>,
): Promise<void> {
  const predictor = await openPredictor(tiny.run, options);
  try {
    await use(predictor);
  } finally {
    await predictor.close();
  }
}

const codeOf = (error: { code: string }) => error.code;

describe.each([true, false])('openPredictor, worker: %s', (worker) => {
  test('01 gives what m3l predict writes, from bytes and from pixels', () =>
    opened({ worker }, async (predictor) => {
      const out = join(tiny.folder, `classes-${worker}.png`);
      const images = { depth: join(tiny.folder, 'rooms/depth/val_000001.png') };
      await predict(RunFolder.open(tiny.run), { images, out });
      const written = Buffer.from((await readGrey(out)).data as Uint8Array);
      const depth = tiny.image('depth', 1);
      const found = await predictor.predict({ depth, rgb: null });
      expect([found.height, found.width]).toEqual([36, 52]);
      expect(found.missing).toEqual(['rgb']);
      expect(Buffer.from(found.classes).equals(written)).toBe(true);
      const { data } = await readGrey(join(tiny.folder, 'rooms/depth/val_000001.png'));
      expect(data).toBeInstanceOf(Uint16Array);
      const same = await predictor.predict({ depth: { data, width: 52, height: 36 } });
      expect(Buffer.from(same.classes).equals(written)).toBe(true);
    }));

  test('02 makes a palette PNG, an overlay and probabilities where asked to', () =>
    opened({ worker }, async (predictor) => {
      const images = { rgb: tiny.image('rgb'), depth: tiny.image('depth') };
      const outputs = ['palette', 'overlay', 'overlayPixels', 'probabilities'] as const;
      const found = await predictor.predict(images, { outputs });
      const { classes } = found;
      const { data } = await sharp(found.palette!).raw().toBuffer({ resolveWithObject: true });
      const colours = classColours(predictor.facts.classes);
      expect([...data.subarray(0, 3)]).toEqual(colours[classes[0]!]);
      expect(found.overlayPixels).toHaveLength(3 * classes.length);
      const overlay = await sharp(found.overlay!).raw().toBuffer();
      expect(overlay.equals(found.overlayPixels!)).toBe(true);
      const best = (pixel: number) => {
        const of = (k: number) => found.probabilities![k * classes.length + pixel]!;
        return colours.reduce((most, _, k) => (of(k) > of(most) ? k : most), 0);
      };
      expect([...classes.keys()].filter((pixel) => best(pixel) !== classes[pixel])).toEqual([]);
      expect((await predictor.predict(images)).overlay).toBeUndefined();
    }));

  test('03 predicts what is asked at once together, and one bad image alone fails', async () => {
    const sizes: number[] = [];
    const onBatch = ({ size }: { size: number }) => sizes.push(size);
    await opened({ worker, maxBatch: 4, onBatch }, async (predictor) => {
      const small = await sharp(tiny.image('rgb')).resize(33, 21).png().toBuffer();
      const bad = tiny.image('rgb').subarray(0, 200);
      const images = [tiny.image('rgb'), small, bad, tiny.image('rgb', 1), tiny.image('rgb')];
      const alone = await predictor.predict({ rgb: images[3]! });
      const found = await Promise.all(
        images.map((rgb) => predictor.predict({ rgb }).catch(codeOf)),
      );
      expect(sizes).toEqual([1, 4, 1]);
      expect(found[2]).toBe('M3L_IMAGE_CORRUPT');
      expect(found[1]).toMatchObject({ width: 33, height: 21 });
      expect(found[3]).toEqual(alone);
      expect(found[4]).toEqual(found[0]);
    });
  });

  test('04 refuses by code', () =>
    opened({ worker, maxQueue: 2, maxPixels: 2000, window: 50 }, async (predictor) => {
      const rgb = tiny.image('rgb');
      const codes = async (images: Record<string, unknown>) =>
        predictor.predict(images as never).then(() => 'done', codeOf);
      expect(await codes({})).toBe('M3L_DATA_OPTIONS');
      expect(await codes({ rgb: null })).toBe('M3L_DATA_OPTIONS');
      await expect(predictor.predict({ rbg: rgb })).rejects.toThrow(/mean 'rgb'/);
      expect(await codes({ rgb: 'rgb.png' })).toBe('M3L_ARGUMENT');
      expect(await codes({ rgb: { data: [1], width: 1, height: 1 } })).toBe('M3L_ARGUMENT');
      const data = new Uint8Array(12);
      expect(await codes({ rgb: { data, width: 2, height: 3, channels: 3 } })).toBe(
        'M3L_IMAGE_FORMAT',
      );
      expect(await codes({ rgb: { data, width: 2, height: -3 } })).toBe('M3L_ARGUMENT');
      const large = await sharp(rgb).resize(100, 50).png().toBuffer();
      expect(await codes({ rgb: large })).toBe('M3L_IMAGE_PIXELS');
      await expect(predictor.predict({ rgb }, { outputs: ['png'] as never })).rejects.toThrow(
        /outputs/,
      );
      const three = [1, 2, 3].map(() => codes({ rgb }));
      expect(await Promise.all(three)).toEqual(['done', 'done', 'M3L_PREDICTOR_BUSY']);
    }));

  test('05 takes back what is aborted, and ends', async () => {
    const predictor = await openPredictor(tiny.run, { worker, window: 10_000, maxBatch: 2 });
    const rgb = tiny.image('rgb');
    const controller = new AbortController();
    const given = predictor.predict({ rgb }, { signal: controller.signal });
    controller.abort(new Error('gone'));
    await expect(given).rejects.toThrow('gone');
    expect(predictor.load).toEqual({ waiting: 0, running: 0 });
    const waiting = predictor.predict({ rgb }).catch(codeOf);
    expect(predictor.alive).toBe(true);
    await predictor.close();
    expect(await waiting).toBe('M3L_PREDICTOR_CLOSED');
    expect(await predictor.predict({ rgb }).catch(codeOf)).toBe('M3L_PREDICTOR_CLOSED');
    expect(predictor.alive).toBe(false);
    expect(torch.memory().scopes).toBe(0);
  });

  test('06 shows what the model is shown', () =>
    opened({ worker }, async (predictor) => {
      const rgb = await predictor.picture('rgb', tiny.image('rgb'));
      expect(rgb).toMatchObject({ width: 52, height: 36, channels: 3 });
      const stored = await sharp(tiny.image('rgb')).removeAlpha().raw().toBuffer();
      expect(stored.equals(rgb.data as Uint8Array)).toBe(true);
      // The nearest and the farthest are the ends of viridis.
      const file = join(tiny.folder, 'rooms/depth/val_000000.png');
      const values = [...((await readGrey(file)).data as Uint16Array)];
      const depth = await predictor.picture('depth', tiny.image('depth'));
      const colourAt = (value: number) => {
        const at = 3 * values.indexOf(value);
        return [...depth.data.subarray(at, at + 3)];
      };
      expect(colourAt(Math.max(...values))).toEqual([253, 231, 37]);
      expect(colourAt(Math.min(...values))).toEqual([68, 1, 84]);

      const code = (name: string, image: unknown) =>
        predictor.picture(name, image as Buffer).then(() => 'done', codeOf);
      expect(await code('rbg', tiny.image('rgb'))).toBe('M3L_MISSING_MODALITY');
      expect(await code('rgb', null)).toBe('M3L_ARGUMENT');
      expect(await code('rgb', tiny.image('rgb').subarray(0, 200))).toBe('M3L_IMAGE_CORRUPT');
      await predictor.close();
      expect(await code('rgb', tiny.image('rgb'))).toBe('M3L_PREDICTOR_CLOSED');
    }));
});

test('07 slow is not hung: each image and each pass is a sign of life', async () => {
  const sizes = [...Array(24).keys()].map((i) => 240 + 4 * i);
  const images = await Promise.all(
    sizes.map((width) => sharp(tiny.image('rgb')).resize(width, 240).png().toBuffer()),
  );
  let seconds = 0;
  const all = (options: OpenPredictorOptions) =>
    opened({ maxBatch: 24, ...options }, async (predictor) => {
      const start = performance.now();
      const found = await Promise.all(images.map((rgb) => predictor.predict({ rgb })));
      seconds = (performance.now() - start) / 1000;
      expect(found.map(({ width }) => width)).toEqual(sizes);
    });
  await all({});
  const hangSeconds = seconds / 3;
  await all({ hangSeconds, restarts: 0 });
  expect(seconds).toBeGreaterThan(hangSeconds);
});

test('08 says what is wrong with a run and with options', async () => {
  await expect(openPredictor(join(tiny.folder, 'none'))).rejects.toMatchObject({
    code: expect.stringMatching(/^M3L_RUN/),
  });
  await expect(openPredictor(tiny.run, { maxBatch: 0 })).rejects.toThrow(/maxBatch/);
  await expect(openPredictor(tiny.run, { window: 1e6 })).rejects.toThrow(/at most 60000/);
  await expect(openPredictor(tiny.run, { hangSeconds: 0 })).rejects.toThrow(/hangSeconds/);
  await expect(openPredictor(tiny.run, { hangSeconds: 1e9 })).rejects.toThrow(/at most 86400/);
  await expect(openPredictor(tiny.run, { wroker: true } as never)).rejects.toThrow(/wroker/);
});

test('09 a palette PNG reads back as class numbers', () =>
  opened({}, async (predictor) => {
    const { writeFile } = await import('node:fs/promises');
    const found = await predictor.predict({ rgb: tiny.image('rgb') }, { outputs: ['palette'] });
    const file = join(tiny.folder, 'palette.png');
    await writeFile(file, found.palette!);
    const { data, palette } = await readLabels(file);
    expect(Buffer.from(data as Uint8Array).equals(Buffer.from(found.classes))).toBe(true);
    expect(palette!.length).toBeGreaterThanOrEqual(39);
  }));
