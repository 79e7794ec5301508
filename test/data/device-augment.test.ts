import { join } from 'node:path';
import { torch } from 'm3l';
import {
  augmentBatch,
  type Batch,
  collate,
  DataLoader,
  type DataLoaderOptions,
  disposeBatch,
  ListDataset,
  labelRule,
  type ModalitySpec,
  Random,
  SampleLoader,
  type Transform,
} from 'm3l/data';
import sharp from 'sharp';
import { beforeAll, describe, expect, it } from 'vitest';
import { pattern, temporaryFolder, writeColour, writeGrey } from './fixtures.js';

const folder = temporaryFolder();
const file = (name: string) => join(folder, name);
/** [width, height] of each picture: odd, narrow, flat, one pixel. */
const SIZES = [
  [23, 17],
  [16, 16],
  [40, 7],
  [5, 31],
  [1, 1],
] as const;
const sampleOf = (k: number) => ({
  name: `s${k}`,
  files: [file(`c${k}.png`), file(`d${k}.png`)],
  label: file(`l${k}.png`),
});

beforeAll(async () => {
  for (const [k, [width, height]] of SIZES.entries()) {
    const pixels = width * height;
    await writeColour(file(`c${k}.png`), width, height, pattern(pixels * 3, 256, 101 + k));
    // One in seven is 0, which may mean that nothing was measured; one picture is 8-bit.
    const depth = pattern(pixels, k === 1 ? 256 : 60000, 1873).map((v, i) => (i % 7 ? v : 0));
    await writeGrey(file(`d${k}.png`), width, height, depth, k === 1 ? 8 : 16);
    await writeGrey(file(`l${k}.png`), width, height, pattern(pixels, 13, 5 + k));
  }
  const [width, height] = SIZES[0];
  await sharp(Uint16Array.from(pattern(width * height * 3, 65536)), {
    raw: { width, height, channels: 3 },
  })
    .toColourspace('rgb16')
    .toFile(file('wide.png'));
  await writeGrey(file('flat.png'), width, height, pattern(width * height, 1), 16);
});

function loaderOf(
  transform: Transform,
  depth: Partial<ModalitySpec> = {},
  rgb: Partial<ModalitySpec> = {},
) {
  const modalities: ModalitySpec[] = [
    { name: 'rgb', kind: 'rgb', ...rgb },
    { name: 'depth', kind: 'depth', ...depth },
  ];
  const options = {
    labelRule: labelRule({ numClasses: 13 }),
    resize: null,
    transform,
    seed: 7,
    cacheBytes: 0,
  };
  return { modalities, loader: new SampleLoader({ ...options, modalities }) };
}

/** Both ways on the same samples, compared. */
async function compare(
  { modalities, loader }: ReturnType<typeof loaderOf>,
  samples: readonly ReturnType<typeof sampleOf>[],
  firstPosition = 0,
): Promise<void> {
  const tasks = samples.map((sample, index) => ({
    sample,
    index,
    epoch: 0,
    position: firstPosition + index,
  }));
  const worker = collate(await Promise.all(tasks.map((task) => loader.load(task))), modalities);
  const device = augmentBatch(
    await Promise.all(tasks.map((task) => loader.loadRaw(task))),
    modalities,
  );
  try {
    expectEqual(device, worker);
  } finally {
    disposeBatch(worker);
    disposeBatch(device);
  }
}

/** Labels and masks exactly, inputs to 1e-6 of the greatest value that there can be. */
function expectEqual(found: Batch, expected: Batch): void {
  expect(found.names).toEqual(expected.names);
  found.modalities.forEach((tensor, m) => {
    const other = expected.modalities[m]!;
    expect([tensor.shape, tensor.dtype]).toEqual([other.shape, other.dtype]);
    const values = other.toTypedArray() as Float32Array;
    const worst = (tensor.toTypedArray() as Float32Array).reduce(
      (most, value, i) => Math.max(most, Math.abs(value - values[i]!) / (1 + Math.abs(values[i]!))),
      0,
    );
    expect(worst).toBeLessThan(1e-6);
  });
  for (const key of ['labels', 'valid'] as const) {
    expect(found[key]?.dtype).toEqual(expected[key]?.dtype);
    expect(found[key]?.shape).toEqual(expected[key]?.shape);
    expect(found[key]?.toTypedArray()).toEqual(expected[key]?.toTypedArray());
  }
}

describe('augmentation on the device', () => {
  it('gives the batches of the workers, whatever is drawn', async () => {
    const random = new Random(1);
    for (let round = 0; round < 60; round++) {
      const crop = [1 + random.integer(40), 1 + random.integer(40)] as const;
      const samples = Array.from({ length: 1 + random.integer(4) }, () =>
        sampleOf(random.integer(SIZES.length)),
      );
      await compare(loaderOf({ kind: 'training', crop }), samples, 10 * round);
    }
  });

  it('for any scale', async () => {
    const random = new Random(2);
    for (let round = 0; round < 20; round++) {
      const scales = [random.uniform(0.05, 4)];
      const transform = { kind: 'training', crop: [13, 19], scales } as const;
      await compare(loaderOf(transform), [0, 1, 2, 3].map(sampleOf), 10 * round);
      // Whose nearest pixel may lie before all that the colours read.
      const opencv = { ...transform, nearest: 'opencv' } as const;
      await compare(loaderOf(opencv), [0, 1, 2, 3].map(sampleOf), 10 * round);
    }
  });

  it.each([
    { invalid: 0 },
    { mean: 0.5, std: 0.25 },
    { invalid: 0, mean: 0.3, std: 0.1 },
    { invalid: 77 },
  ])('for a depth of %o', async (spec) => {
    const loader = loaderOf({ kind: 'training', crop: [21, 30] }, spec);
    await compare(loader, [0, 1, 2, 4].map(sampleOf));
    await compare(loader, [{ ...sampleOf(0), files: [file('c0.png'), file('flat.png')] }]);
  });

  it('for colours of a normalisation of their own', async () => {
    const own = { mean: [0.5, 0.6, 0.1], std: [0.1, 0.2, 0.3] };
    const loader = loaderOf({ kind: 'training', crop: [21, 30] }, {}, own);
    await compare(loader, [0, 1, 2, 4].map(sampleOf));
  });

  it.each([{}, { invalid: 0, mean: 0.3, std: 0.1 }])('for levels that move: %o', async (spec) => {
    const depth = { ...spec, jitter: { gain: 0.5, offset: 0.2 } };
    const loader = loaderOf({ kind: 'training', crop: [21, 30] }, depth, { jitter: { gain: 0.4 } });
    await compare(loader, [0, 1, 2, 4].map(sampleOf));
    await compare(loader, [{ ...sampleOf(0), files: [file('c0.png'), file('flat.png')] }]);
  });

  it('for 16-bit colours beside 8-bit ones', async () => {
    const wide = { ...sampleOf(0), files: [file('wide.png'), file('d0.png')] };
    await compare(loaderOf({ kind: 'training', crop: [12, 12] }), [wide, sampleOf(0), wide]);
  });

  it('resizes for an evaluation, and leaves the labels', async () => {
    await compare(loaderOf({ kind: 'evaluation', size: [34, 46] }), [sampleOf(0), sampleOf(0)]);
    await compare(loaderOf({ kind: 'evaluation' }), [sampleOf(2)]);
  });

  it('computes nothing outside of the crop: the workers send its pixels alone', async () => {
    const transform = { kind: 'training', crop: [4, 4], scales: [2] } as const;
    const sample = sampleOf(0);
    const raw = await loaderOf(transform).loader.loadRaw({
      sample,
      index: 0,
      epoch: 0,
      position: 3,
    });
    const { width, height } = raw.rectangle;
    expect(Math.max(width, height)).toBeLessThanOrEqual(4);
    expect(raw.planes.map(({ data }) => data.length)).toEqual([3 * width * height, width * height]);
    expect(raw.label).toHaveLength(width * height);
  });

  it('refuses labels of different sizes in one batch', async () => {
    const { loader, modalities } = loaderOf({ kind: 'evaluation', size: [8, 8] });
    const tasks = [0, 1].map((k) => ({ sample: sampleOf(k), index: k, epoch: 0, position: k }));
    const samples = await Promise.all(tasks.map((task) => loader.loadRaw(task)));
    expect(() => augmentBatch(samples, modalities)).toThrow(
      expect.objectContaining({ code: 'M3L_LABEL_SIZES' }),
    );
  });

  it.skipIf(!torch.cuda.isAvailable())(
    'gives the same on a GPU (skipped without one)',
    async () => {
      const { loader, modalities } = loaderOf({ kind: 'training', crop: [13, 19] }, { invalid: 0 });
      const tasks = [0, 1, 2].map((k) => ({
        sample: sampleOf(k),
        index: k,
        epoch: 0,
        position: k,
      }));
      const expected = collate(await Promise.all(tasks.map((t) => loader.load(t))), modalities);
      const raw = await Promise.all(tasks.map((task) => loader.loadRaw(task)));
      const found = augmentBatch(raw, modalities, 'cuda');
      expect(found.modalities[0]!.device).toBe('cuda:0');
      expectEqual(found, expected);
      disposeBatch(found);
      disposeBatch(expected);
    },
  );
});

describe('a loader that augments on the device', () => {
  const set = new ListDataset({
    samples: [0, 1, 2, 3].map(sampleOf),
    modalities: [
      { name: 'rgb', kind: 'rgb' },
      { name: 'depth', kind: 'depth' },
    ],
    numClasses: 13,
  });
  const open = (options: Partial<DataLoaderOptions> = {}) =>
    new DataLoader(set, {
      transform: { kind: 'training', crop: [16, 16] },
      batchSize: 3,
      seed: 5,
      augmentOn: 'device',
      ...options,
    });

  it.each([0, 1, 2])('gives the batches of its seed from %i workers', async (workers) => {
    const [device, worker] = [open({ workers }), open({ augmentOn: 'worker' })];
    for (let t = 0; t < 5; t++) {
      const [found, expected] = [await device.batch(t), await worker.batch(t)];
      expectEqual(found, expected);
      disposeBatch(found);
      disposeBatch(expected);
    }
    await device.close();
  });

  it('has a prepared batch at once, and lets go of one that nobody asks for', async () => {
    const [loader, other] = [open({ workers: 1 }), open()];
    const live = torch.memory().tensors;
    disposeBatch(await loader.batch(0));
    loader.prepare(7);
    expect(torch.memory().tensors).toBe(live);
    // Sooner or later the samples ahead have come.
    while (torch.memory().tensors === live) {
      await new Promise((resolve) => setTimeout(resolve, 5));
      loader.prepare(1);
    }
    loader.prepare(1);
    const made = torch.memory().tensors;
    const batch = await loader.batch(1);
    expect(torch.memory().tensors).toBe(made);
    const expected = await other.batch(1);
    expectEqual(batch, expected);
    disposeBatch(batch);
    disposeBatch(expected);
    while (torch.memory().tensors === live) {
      await new Promise((resolve) => setTimeout(resolve, 5));
      loader.prepare(2);
    }
    await loader.close();
    expect(torch.memory().tensors).toBe(live);
  });
});
