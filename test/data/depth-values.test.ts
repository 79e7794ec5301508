import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { torch } from 'm3l';
import {
  augmentBatch,
  checkModality,
  collate,
  disposeBatch,
  KIND_NAMES,
  labelRule,
  loadInputs,
  type ModalitySpec,
  readPlane,
  SampleLoader,
  type Transform,
} from 'm3l/data';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { pattern, temporaryFolder, writeColour, writeGrey } from './fixtures.js';

const folder = temporaryFolder();
const at = (name: string) => join(folder, name);

/** Writes values as a .npy file, whose types PNG has not. */
function writeArray(
  name: string,
  width: number,
  height: number,
  data: Float32Array | Float64Array | Int16Array | Int32Array | Uint32Array,
): string {
  const letter =
    data instanceof Uint32Array ? 'u' : data.constructor.name.startsWith('F') ? 'f' : 'i';
  const descr = `<${letter}${data.BYTES_PER_ELEMENT}`;
  const header = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${height}, ${width}), }`;
  const padded = header.padEnd(Math.ceil((header.length + 11) / 64) * 64 - 11, ' ');
  const start = Buffer.concat([
    Buffer.from('\x93NUMPY\x01\x00', 'latin1'),
    Buffer.from(Uint16Array.of(padded.length + 1).buffer),
    Buffer.from(`${padded}\n`, 'latin1'),
  ]);
  const values = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  writeFileSync(at(name), Buffer.concat([start, values]));
  return at(name);
}

/** The first channel of an input. */
async function read(file: string, spec: Partial<ModalitySpec> = {}): Promise<number[]> {
  const { inputs } = await loadInputs([{ name: 'd', kind: 'depth', ...spec }], [file]);
  const values = torch.scope(() => Array.from(inputs[0]!.select(1, 0).toTypedArray(), Number));
  torch.dispose(inputs);
  return values;
}

function expectClose(found: readonly number[], expected: readonly number[], digits = 6): void {
  expect(found).toHaveLength(expected.length);
  for (const [i, value] of found.entries()) expect(value).toBeCloseTo(expected[i]!, digits);
}

describe('depth of any stored type', () => {
  it('keeps the levels of metres in float32', async () => {
    const metres = Float32Array.from({ length: 63 }, (_, i) => 1 + i * 0.01);
    const found = await read(writeArray('metres.npy', 63, 1, metres));
    expect(new Set(found).size).toBe(63);
    expectClose(
      found,
      [...metres].map((v) => (v - 1) / (metres[62]! - 1)),
    );
  });

  it.each([
    ['int16', Int16Array.of(-300, -100, 0, 700)],
    ['int32', Int32Array.of(-300, -100, 0, 700)],
    ['uint32', Uint32Array.of(100, 300, 400, 1100)],
    ['float64', Float64Array.of(-0.3, -0.1, 0, 0.7)],
  ])('reads %s between its least and greatest value', async (name, data) => {
    expectClose(await read(writeArray(`${name}.npy`, 4, 1, data)), [0, 0.2, 0.3, 1]);
  });

  it('tells 32-bit values apart that float32 does not', async () => {
    const close = Int32Array.of(2 ** 30, 2 ** 30 + 1, 2 ** 30 + 2, 2 ** 30 + 4);
    expect(await read(writeArray('close.npy', 4, 1, close))).toEqual([0, 0.25, 0.5, 1]);
  });

  it('takes NaN and infinities for not measured, and reads the rest', async () => {
    const file = writeArray(
      'nan.npy',
      5,
      1,
      Float32Array.of(Number.NaN, 2, Infinity, -Infinity, 4),
    );
    expect(await read(file)).toEqual([0, 0, 0, 0, 1]);
    expect(await read(file, { mean: 0.5, std: 0.25 })).toEqual([-2, -2, -2, -2, 2]);
    const none = writeArray('none.npy', 2, 1, Float32Array.of(Number.NaN, Infinity));
    expect(await read(none)).toEqual([0, 0]);
  });
});

describe('invalid values', () => {
  it('may be several, of 8 and 16 bits', async () => {
    await writeGrey(at('two.png'), 4, 1, [0, 100, 200, 65535], 16);
    expect(await read(at('two.png'), { invalid: [0, 65535] })).toEqual([0, 0, 1, 0]);
    await writeGrey(at('two8.png'), 4, 1, [0, 100, 200, 255]);
    expect(await read(at('two8.png'), { invalid: [0, 255, -1, 0.5] })).toEqual([0, 0, 1, 0]);
  });

  it('are compared as the file holds them: fractions, below 0, NaN', async () => {
    const file = writeArray('odd.npy', 4, 1, Float32Array.of(0.1, -9999, 1, 3));
    expect(await read(file, { invalid: [0.1, -9999, Number.NaN] })).toEqual([0, 0, 0, 1]);
    const signed = writeArray('signed.npy', 4, 1, Int16Array.of(-1, 10, 20, 30));
    expect(await read(signed, { invalid: -1 })).toEqual([0, 0, 0.5, 1]);
  });

  it('are raw values, before the scale', async () => {
    await writeGrey(at('raw.png'), 4, 1, [0, 1000, 2000, 3000], 16);
    const spec = { invalid: 3000, scale: 0.001, range: [0, 4] } as const;
    expectClose(await read(at('raw.png'), spec), [0, 0.25, 0.5, 0]);
  });
});

describe('a fixed range', () => {
  it('is in the unit of scale, and clamps; one outlier does not rule it', async () => {
    await writeGrey(at('mm.png'), 5, 1, [500, 1000, 3000, 5000, 65000], 16);
    const metric = { range: [1, 5], scale: 0.001 } as const;
    expectClose(await read(at('mm.png'), metric), [0, 0, 0.5, 1, 1]);
    const far = writeArray('far.npy', 5, 1, Float32Array.of(-1e30, 1, 3, 5, 1e30));
    expectClose(await read(far, { range: [1, 5] }), [0, 0, 0.5, 1, 1]);
  });

  it('of a constant image is its level', async () => {
    await writeGrey(at('flat.png'), 2, 1, [200, 200]);
    expectClose(await read(at('flat.png'), { range: [0, 400] }), [0.5, 0.5]);
  });
});

describe('grey', () => {
  it('is scaled by the range of its type, with its own normalisation', async () => {
    await writeGrey(at('g8.png'), 3, 1, [0, 51, 255]);
    await writeGrey(at('g16.png'), 3, 1, [0, 13107, 65535], 16);
    const floats = writeArray('g.npy', 3, 1, Float32Array.of(Number.NaN, 0.2, 1.5));
    const signed = writeArray('g16.npy', 3, 1, Int16Array.of(-5, 6553, 32767));
    const plain = { kind: 'grey', mean: 0, std: 1 } as const;
    expectClose(await read(at('g8.png'), plain), [0, 0.2, 1]);
    expectClose(await read(at('g16.png'), plain), [0, 0.2, 1]);
    expectClose(await read(floats, plain), [0, 0.2, 1]);
    expectClose(await read(signed, plain), [0, 0.2, 1], 4);
    const normalised = [0, 0.2, 1].map((v) => (v - 0.449) / 0.226);
    expectClose(await read(at('g8.png'), { kind: 'grey' }), normalised);
  });

  it('takes a range, as colours do: 12 bits in 16', async () => {
    await writeGrey(at('g12.png'), 3, 1, [0, 819, 4095], 16);
    const spec = { kind: 'grey', mean: 0, std: 1, range: [0, 4095] } as const;
    expectClose(await read(at('g12.png'), spec), [0, 0.2, 1]);
    await sharp(Uint16Array.of(0, 819, 4095), { raw: { width: 1, height: 1, channels: 3 } })
      .toColourspace('rgb16')
      .toFile(at('c12.png'));
    const { data, divisor } = await readPlane({ ...spec, name: 'c', kind: 'rgb' }, at('c12.png'));
    expectClose(
      [...data].map((v) => v / divisor),
      [0, 0.2, 1],
    );
  });

  it('is mixed, not picked', async () => {
    await writeGrey(at('ramp.png'), 2, 1, [0, 255]);
    const { inputs } = await loadInputs(
      [{ name: 'g', kind: 'grey', mean: 0, std: 1 }],
      [at('ramp.png')],
      { size: [1, 4] },
    );
    const values = Array.from(inputs[0]!.toTypedArray(), Number).slice(0, 4);
    torch.dispose(inputs);
    expectClose(values, [0, 0.25, 0.75, 1]);
  });
});

describe('a channel', () => {
  it('of one file may be a modality, and another the next', async () => {
    await sharp(Uint8Array.of(10, 20, 30, 40, 110, 120, 130, 140), {
      raw: { width: 2, height: 1, channels: 4 },
    }).toFile(at('rgba.png'));
    const channels = ['red', 'green', 'blue', 'alpha', 1] as const;
    const specs = channels.map(
      (channel, k): ModalitySpec => ({ name: `m${k}`, kind: 'depth', range: [0, 200], channel }),
    );
    const { inputs } = await loadInputs(
      specs,
      specs.map(() => at('rgba.png')),
    );
    const found = torch.scope(() =>
      inputs.map((input) => Array.from(input!.select(1, 0).toTypedArray(), Number)),
    );
    torch.dispose(inputs);
    for (const [k, first] of [10, 20, 30, 40, 20].entries()) {
      expectClose(found[k]!, [first / 200, (first + 100) / 200]);
    }
  });

  it('that the image has not is refused', async () => {
    await writeColour(at('rgb.png'), 1, 1, [1, 2, 3]);
    await writeGrey(at('one.png'), 1, 1, [1]);
    const refuses = (file: string, channel: ModalitySpec['channel'], text: string) =>
      expect(read(at(file), { channel })).rejects.toThrow(
        expect.objectContaining({
          code: 'M3L_IMAGE_FORMAT',
          message: expect.stringContaining(text),
        }),
      );
    await refuses('rgb.png', 'alpha', "found 3 channels, expected one named 'alpha'");
    await refuses('rgb.png', 3, "found 3 channels, expected one named '3'");
    await refuses('one.png', 'red', "found 1 channel, expected one named 'red'");
  });
});

describe('augmentation on the device', () => {
  const [WIDTH, HEIGHT] = [23, 17];
  const pixels = WIDTH * HEIGHT;
  const transforms: Transform[] = [
    { kind: 'training', crop: [21, 30] },
    { kind: 'training', crop: [9, 40], scales: [0.4] },
    { kind: 'evaluation', size: [10, 12] },
  ];

  async function compare(spec: ModalitySpec, files: readonly string[]): Promise<void> {
    for (const transform of transforms) {
      const loader = new SampleLoader({
        modalities: [spec],
        labelRule: labelRule({ numClasses: 2 }),
        transform,
        seed: 3,
        cacheBytes: 0,
      });
      const tasks = files.map((file, k) => ({
        sample: { name: file, files: [file], label: null },
        index: k,
        epoch: 0,
        position: k,
      }));
      const worker = collate(await Promise.all(tasks.map((task) => loader.load(task))), [spec]);
      const raw = await Promise.all(tasks.map((task) => loader.loadRaw(task)));
      const device = augmentBatch(raw, [spec]);
      const [found, expected] = [device, worker].map((batch) =>
        Array.from(batch.modalities[0]!.toTypedArray(), Number),
      ) as [number[], number[]];
      expect(device.modalities[0]!.shape).toEqual(worker.modalities[0]!.shape);
      disposeBatch(worker);
      disposeBatch(device);
      expect(found.every(Number.isFinite)).toBe(true);
      const worst = found.reduce((most, v, i) => Math.max(most, Math.abs(v - expected[i]!)), 0);
      expect(worst).toBeLessThan(2e-6);
    }
  }

  const specs: Partial<ModalitySpec>[] = [
    {},
    { invalid: [0, 13], mean: 0.5, std: 0.25 },
    { range: [100, 40000], invalid: 13 },
    { range: [0.1, 40], scale: 0.001, jitter: { gain: 0.5, offset: 0.3 } },
    { kind: 'grey' },
    { kind: 'grey', range: [0, 30000], jitter: { gain: 0.5 } },
  ];
  it.each(specs)('agrees for every stored type: %o', async (own) => {
    const values = pattern(pixels, 60000, 1873);
    await writeGrey(at('a16.png'), WIDTH, HEIGHT, values, 16);
    await writeGrey(at('a8.png'), WIDTH, HEIGHT, pattern(pixels, 256));
    const floats = Float32Array.from(values, (v, i) => (i % 11 === 0 ? Number.NaN : v / 7 - 1000));
    const files = [
      at('a16.png'),
      writeArray('af.npy', WIDTH, HEIGHT, floats),
      at('a8.png'),
      writeArray(
        'ai.npy',
        WIDTH,
        HEIGHT,
        Int32Array.from(values, (v) => 9 * v - 70000),
      ),
    ];
    await compare({ name: 'm', kind: 'depth', ...own }, files);
    await compare({ name: 'm', kind: 'depth', ...own }, files.slice(0, 1));
    await compare({ name: 'm', kind: 'depth', ...own }, files.slice(1, 2));
  });
});

describe('what has no meaning is refused', () => {
  it.each([
    [{ kind: 'rgb', invalid: 0 }, "'invalid' has no meaning for rgb"],
    [{ kind: 'grey', invalid: 0 }, "'invalid' has no meaning for grey"],
    [{ kind: 'rgb', channel: 'red' }, "'channel' has no meaning for rgb"],
    [
      { kind: 'grey', jitter: { offset: 0.1 } },
      'found jitter {"offset":0.1}, expected a gain alone',
    ],
    [{ channel: 'violet' }, "found channel 'violet', expected red, green, blue, alpha"],
    [{ channel: -1 }, "found channel '-1'"],
    [{ range: [3, 1] }, 'found range [3, 1], expected [least, greatest]'],
    [{ range: [0, Number.NaN] }, 'found range [0, NaN]'],
    [{ scale: 0.001 }, "'scale' is the unit of 'range'"],
    [{ range: [0, 1], scale: 0 }, 'found scale 0, expected a number above 0'],
    [{ kind: 'lidar' }, "found kind 'lidar', expected 'rgb', 'depth' or 'grey'"],
  ] as [Partial<ModalitySpec>, string][])('%o', (own, text) => {
    const spec = { name: 'm', kind: 'depth', ...own } as ModalitySpec;
    expect(() => checkModality(spec)).toThrow(
      expect.objectContaining({
        code: 'M3L_DATA_OPTIONS',
        message: expect.stringContaining(`modality 'm': ${text}`),
      }),
    );
  });

  it('and every kind that there is, is taken', () => {
    for (const kind of KIND_NAMES) expect(() => checkModality({ name: 'm', kind })).not.toThrow();
  });
});
