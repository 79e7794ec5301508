import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { torch } from 'm3l';
import {
  type Batch,
  DataError,
  DataLoader,
  type DataLoaderOptions,
  ListDataset,
  loadInputs,
  TrainingSampler,
} from 'm3l/data';
import { beforeAll, describe, expect, it } from 'vitest';
import { SequentialSampler } from '../../dist/data/sampler.js';
import { pattern, temporaryFolder, writeColour, writeGrey } from './fixtures.js';

const folder = temporaryFolder();
const file = (name: string) => join(folder, name);
const modalities = [
  { name: 'rgb', kind: 'rgb' },
  { name: 'depth', kind: 'depth' },
] as const;
const COUNT = 7;
const sampleOf = (k: number) => ({
  name: `s${k}`,
  files: [file(`c${k}.png`), file(`d${k}.png`)],
  label: file(`l${k}.png`),
});
const samples = Array.from({ length: COUNT }, (_, k) => sampleOf(k));
const dataset = () => new ListDataset({ samples, modalities, numClasses: 13 });
const training = { kind: 'training', crop: [16, 16] } as const;

beforeAll(async () => {
  for (let k = 0; k < COUNT; k++) {
    await writeColour(file(`c${k}.png`), 24, 18, pattern(24 * 18 * 3, 256, 101 + k));
    await writeGrey(file(`d${k}.png`), 24, 18, pattern(24 * 18, 9000, 37 + k), 16);
    await writeGrey(file(`l${k}.png`), 24, 18, pattern(24 * 18, 13, 5 + k));
  }
  await writeGrey(file('void.png'), 24, 18, new Uint8Array(24 * 18).fill(255));
  await writeGrey(file('flat.png'), 24, 18, new Uint16Array(24 * 18).fill(700), 16);
  await writeGrey(file('small.png'), 12, 9, pattern(12 * 9, 13));
  await writeGrey(file('bad.png'), 24, 18, pattern(24 * 18, 14));
  await writeGrey(file('raw.png'), 24, 18, pattern(24 * 18, 38));
});

/** Everything in a batch as plain values; the batch is disposed of. */
function contents(batch: Batch) {
  const { names, modalities: inputs, labels, valid } = batch;
  const tensors = [...inputs, labels, valid];
  const out = [names, ...tensors.map((t) => t && [t.shape, Buffer.from(t.toTypedArray().buffer)])];
  torch.dispose(tensors);
  return out;
}

async function run(options: Partial<DataLoaderOptions>, iterations: readonly number[]) {
  const loader = new DataLoader(dataset(), {
    transform: training,
    batchSize: 3,
    seed: 5,
    ...options,
  });
  const out = [];
  for (const t of iterations) out.push(contents(await loader.batch(t)));
  await loader.close();
  return out;
}

async function loadWith(change: object, options: object = {}) {
  const loader = new DataLoader(
    new ListDataset({
      samples: [{ ...sampleOf(0), ...change }],
      modalities,
      numClasses: 13,
      ...options,
    }),
    { transform: training, batchSize: 1 },
  );
  return loader.batch(0);
}

describe('DataLoader', () => {
  it('gives tensors of the promised shapes and types', async () => {
    const loader = new DataLoader(dataset(), { transform: training, batchSize: 2 });
    const batch = await loader.batch(0);
    expect(batch.modalities.map((m) => [m.shape, m.dtype])).toEqual([
      [[2, 3, 16, 16], 'float32'],
      [[2, 3, 16, 16], 'float32'],
    ]);
    expect([batch.labels!.shape, batch.labels!.dtype]).toEqual([[2, 16, 16], 'int64']);
    expect([batch.valid!.shape, batch.valid!.dtype]).toEqual([[2, 16, 16], 'bool']);
    const depth = batch.modalities[1]!.toTypedArray() as Float32Array;
    expect(depth.slice(0, 256)).toEqual(depth.slice(512, 768));
    contents(batch);
  });

  it('gives the same batches for any number of workers, prefetch and cache', async () => {
    const iterations = [0, 1, 2, 3, 4, 5, 6];
    const expected = await run({}, iterations);
    expect(expected[0]).not.toEqual(expected[1]);
    expect(await run({ workers: 1 }, iterations)).toEqual(expected);
    expect(await run({ workers: 2, prefetch: 5 }, iterations)).toEqual(expected);
    expect(await run({ workers: 2, cacheBytes: 0, prefetch: 0 }, iterations)).toEqual(expected);
    expect(await run({ cacheBytes: 4000 }, iterations)).toEqual(expected);
    expect(await run({ seed: 6 }, iterations)).not.toEqual(expected);
  });

  it('resumes at an iteration with the batches that would have come', async () => {
    const all = await run({ workers: 1 }, [0, 1, 2, 3, 4, 5, 6, 7, 8]);
    expect(await run({ workers: 2 }, [6, 7, 8])).toEqual(all.slice(6));
    expect(await run({}, [8, 2, 5])).toEqual([all[8], all[2], all[5]]);
  });

  it('yields one epoch, or a range of iterations', async () => {
    const loader = new DataLoader(dataset(), { transform: training, batchSize: 3, workers: 1 });
    let count = 0;
    for await (const batch of loader) {
      contents(batch);
      count++;
    }
    expect(count).toBe(3);
    const some = [];
    for await (const batch of loader.batches(2, 7)) some.push(contents(batch)[0]);
    expect(some).toHaveLength(5);
    await loader.close();
  });

  it('evaluates each sample once, in order, and cuts batches where label sizes change', async () => {
    const list = [0, 1, 2, 3, 4].map(sampleOf);
    const small = { name: 'small', files: [file('small.png')], label: file('small.png') };
    const grey = [{ name: 'depth', kind: 'depth' }] as const;
    const one = list.map((sample) => ({ ...sample, files: [sample.files[1]!] }));
    const mixed = [...one.slice(0, 3), small, ...one.slice(3)];
    const set = new ListDataset({ samples: mixed, modalities: grey, numClasses: 13 });
    const transform = { kind: 'evaluation', size: [8, 8] } as const;
    const loader = new DataLoader(set, { transform, batchSize: 2, workers: 1 });
    const seen: [string[], readonly number[]][] = [];
    for await (const batch of loader) {
      seen.push([batch.names, batch.labels!.shape]);
      expect(batch.valid).toBeNull();
      contents(batch);
    }
    expect(seen).toEqual([
      [
        ['s0', 's1'],
        [2, 18, 24],
      ],
      [['s2'], [1, 18, 24]],
      [['small'], [1, 9, 12]],
      [
        ['s3', 's4'],
        [2, 18, 24],
      ],
    ]);
    await expect(loader.batch(1)).rejects.toMatchObject({ code: 'M3L_LABEL_SIZES' });
    await expect(loader.batch(3)).rejects.toThrow('expected an integer from 0 to 2');
    await loader.close();
  });

  it('leaves labels out where there are none', async () => {
    const set = new ListDataset({
      samples: samples.map((sample) => ({ ...sample, label: null })),
      modalities,
    });
    const batch = await new DataLoader(set, { transform: training, batchSize: 2 }).batch(0);
    expect(batch.labels).toBeNull();
    contents(batch);
  });

  it('accepts an all-void label and a constant depth', async () => {
    const batch = await loadWith({
      files: [file('c0.png'), file('flat.png')],
      label: file('void.png'),
    });
    expect(new Set(batch.labels!.toTypedArray() as BigInt64Array)).toEqual(new Set([255n]));
    expect(new Set(batch.modalities[1]!.toTypedArray() as Float32Array)).toEqual(new Set([0]));
    contents(batch);
  });
});

describe('what it refuses', () => {
  it('labels out of range, with file, pixel and mend', async () => {
    await expect(loadWith({ label: file('bad.png') })).rejects.toMatchObject({
      code: 'M3L_LABEL_RANGE',
      message: expect.stringMatching(
        /bad\.png: found label 13 \(row 0, column \d+\), expected 0 to 12/,
      ),
    });
  });

  it('the first label out of range of a large picture, of 8 and of 16 bits', async () => {
    for (const bits of [8, 16] as const) {
      const values = pattern(120 * 90, 13);
      values[9876] = 77;
      values[10000] = 88;
      await writeGrey(file('large-l.png'), 120, 90, values, bits);
      await writeColour(file('large-c.png'), 120, 90, pattern(120 * 90 * 3, 256));
      await writeGrey(file('large-d.png'), 120, 90, pattern(120 * 90, 9000), 16);
      const files = [file('large-c.png'), file('large-d.png')];
      await expect(loadWith({ files, label: file('large-l.png') })).rejects.toThrow(
        /large-l\.png: found label 77 \(row 82, column 36\)/,
      );
    }
  });

  it('unshifted labels that start at 1, and takes them with the offset', async () => {
    const label = file('raw.png');
    await expect(loadWith({ label }, { numClasses: 37 })).rejects.toThrow('set labelOffset to 1');
    const batch = await loadWith({ label }, { numClasses: 37, labelOffset: 1 });
    const values = [...(batch.labels!.toTypedArray() as BigInt64Array)].map(Number);
    expect(Math.max(...values.filter((v) => v !== 255))).toBeLessThanOrEqual(36);
    const raw = pattern(24 * 18, 38);
    const expected = new Set(raw.map((value) => (value === 0 ? 255 : value - 1)));
    expect(values.every((value) => expected.has(value))).toBe(true);
    expect(values).toContain(255);
    contents(batch);
  });

  it('sizes that differ between modalities, or from the label', async () => {
    for (const change of [
      { files: [file('c0.png'), file('small.png')] },
      { label: file('small.png') },
    ]) {
      await expect(loadWith(change)).rejects.toMatchObject({
        code: 'M3L_SIZE_MISMATCH',
        message: expect.stringMatching(/small\.png: found 12 × 9 pixels, expected 24 × 18 as .*c0/),
      });
    }
  });

  it.each([0, 2])('a broken sample, with the same error class from %i workers', async (workers) => {
    const set = new ListDataset({
      samples: [...samples, { ...sampleOf(0), files: [file('none.png'), file('d0.png')] }],
      modalities,
      numClasses: 13,
    });
    const loader = new DataLoader(set, {
      transform: { kind: 'evaluation' },
      batchSize: 2,
      workers,
    });
    contents(await loader.batch(0));
    const failure = await loader.batch(3).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(DataError);
    expect(failure).toMatchObject({
      code: 'M3L_IMAGE_MISSING',
      message: expect.stringContaining('none.png'),
    });
    // One bad sample does not break the loader.
    contents(await loader.batch(1));
    await loader.close();
  });

  it('work after it was closed or aborted', async () => {
    const loader = new DataLoader(dataset(), { transform: training, batchSize: 2, workers: 1 });
    const pending = loader.batch(0).catch((error: unknown) => error);
    await loader.close();
    expect(await pending).toMatchObject({ code: 'M3L_LOADER_CLOSED' });
    await expect(loader.batch(1)).rejects.toMatchObject({ code: 'M3L_LOADER_CLOSED' });
    const controller = new AbortController();
    const options = { transform: training, batchSize: 2, workers: 1, signal: controller.signal };
    const aborted = new DataLoader(dataset(), options);
    const waiting = aborted.batch(0).catch((error: unknown) => error);
    controller.abort(new Error('stop'));
    expect(await waiting).toMatchObject({ message: 'stop' });
    await expect(new DataLoader(dataset(), options).batch(0)).rejects.toThrow('stop');
  });

  it.each([
    ['--input-type=module', '-e'],
    ['--input-type=module', '--expose-gc', '--eval'],
  ])('no workers in a program that node %s runs', async (...flags) => {
    const program = `
      import { DataLoader, ListDataset } from 'm3l/data';
      const set = new ListDataset(${JSON.stringify({ samples, modalities, numClasses: 13 })});
      const loader = new DataLoader(set, {
        transform: { kind: 'training', crop: [16, 16] }, batchSize: 2, workers: 1,
      });
      const { modalities } = await loader.batch(0);
      console.log(modalities[0].shape.join());
      await loader.close();
    `;
    const cwd = join(import.meta.dirname, '../..');
    const { stdout } = await promisify(execFile)(process.execPath, [...flags, program], { cwd });
    expect(stdout).toBe('2,3,16,16\n');
  });

  it('a number of workers that is none', () => {
    expect(
      () => new DataLoader(dataset(), { transform: training, batchSize: 2, workers: -1 }),
    ).toThrow(expect.objectContaining({ code: 'M3L_DATA_OPTIONS' }));
  });
});

describe('TrainingSampler', () => {
  const draws = (options: object, iterations: number, start = 0) => {
    const sampler = new TrainingSampler({ length: 5, batchSize: 4, seed: 1, ...options });
    return Array.from({ length: iterations }, (_, t) =>
      sampler.batch(start + t).map((draw) => draw.index),
    ).flat();
  };
  const counts = (indices: number[]) => {
    const out = [0, 0, 0, 0, 0];
    for (const index of indices) out[index]!++;
    return out;
  };

  it('repeats a short list and draws the rest without replacement', () => {
    const found = counts(draws({ iterationsPerEpoch: 3 }, 3));
    expect(found.filter((n) => n === 2)).toHaveLength(3);
    expect(found.filter((n) => n === 3)).toHaveLength(2);
  });

  it('draws without replacement from a list longer than the epoch', () => {
    expect(Math.max(...counts(draws({ iterationsPerEpoch: 1 }, 1)))).toBe(1);
  });

  it('orders each epoch anew, from the seed alone', () => {
    const options = { iterationsPerEpoch: 5 };
    expect(draws(options, 5)).not.toEqual(draws(options, 5, 5));
    expect(draws(options, 3, 7)).toEqual(draws(options, 10).slice(28));
    expect(draws(options, 5)).not.toEqual(draws({ ...options, seed: 2 }, 5));
  });
});

describe('loadInputs', () => {
  it('reads what is there and leaves null what is not', async () => {
    const files = [null, file('d0.png')];
    const { inputs, size } = await loadInputs(modalities, files, { size: [9, 12] });
    expect(inputs[0]).toBeNull();
    expect(inputs[1]!.shape).toEqual([1, 3, 9, 12]);
    expect(size).toEqual([18, 24]);
    torch.dispose(inputs);
    await expect(loadInputs(modalities, [null, null])).rejects.toMatchObject({
      code: 'M3L_DATA_OPTIONS',
    });
    await expect(loadInputs(modalities, [file('c0.png'), file('small.png')])).rejects.toMatchObject(
      {
        code: 'M3L_SIZE_MISMATCH',
      },
    );
  });

  it('agrees with an evaluation of the same files', async () => {
    const transform = { kind: 'evaluation', size: [10, 14] } as const;
    const batch = await new DataLoader(dataset(), { transform, batchSize: 1 }).batch(0);
    const { inputs } = await loadInputs(modalities, samples[0]!.files, { size: [10, 14] });
    for (const m of [0, 1]) {
      expect(inputs[m]!.toTypedArray()).toEqual(batch.modalities[m]!.toTypedArray());
    }
    torch.dispose([...inputs, ...batch.modalities, batch.labels]);
  });
});

describe('the parts of several processes', () => {
  const parts = (worldSize: number) =>
    Array.from({ length: worldSize }, (_, rank) => ({ rank, worldSize }));

  it('are together the batches of one', () => {
    const options = { length: 7, batchSize: 6, seed: 4 };
    const whole = new TrainingSampler(options);
    const shared = parts(3).map((shard) => new TrainingSampler({ ...options, shard }));
    for (const iteration of [0, 1, 5]) {
      expect(shared.flatMap((sampler) => sampler.batch(iteration))).toEqual(whole.batch(iteration));
    }
  });

  it('must be equal', () => {
    const shard = { rank: 0, worldSize: 4 };
    expect(() => new TrainingSampler({ length: 7, batchSize: 6, shard })).toThrow(
      /batchSize: found 6 over 4 processes, expected a multiple of 4/,
    );
    const odd = { rank: 2, worldSize: 2 };
    expect(() => new TrainingSampler({ length: 7, batchSize: 6, shard: odd })).toThrow(
      /rank 2 of 2/,
    );
  });

  it('are whole batches of an evaluation, in its order; some may have none', () => {
    const indices = (sampler: SequentialSampler) =>
      Array.from({ length: sampler.iterationsPerEpoch }, (_, i) => sampler.batch(i)).flat();
    for (const worldSize of [2, 3, 5]) {
      const shared = parts(worldSize).map((shard) => new SequentialSampler(7, 2, shard));
      expect(shared.flatMap(indices)).toEqual(indices(new SequentialSampler(7, 2)));
      const before = shared.map((_, rank) => shared.slice(0, rank).flatMap(indices).length);
      expect(shared.map(({ first }) => first)).toEqual(before);
    }
  });
});
