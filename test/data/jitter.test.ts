import { join } from 'node:path';
import { jitterOf, labelRule, type ModalitySpec, SampleLoader, type Transform } from 'm3l/data';
import { beforeAll, describe, expect, it } from 'vitest';
import { temporaryFolder, writeColour, writeGrey } from './fixtures.js';

const folder = temporaryFolder();
const [WIDTH, HEIGHT] = [8, 6];
const DEPTH = Array.from({ length: WIDTH * HEIGHT }, (_, i) => (i % 7 ? 100 + 10 * i : 0));
const sample = {
  name: 's',
  files: [join(folder, 'c.png'), join(folder, 'd.png')],
  label: null,
};

beforeAll(async () => {
  const colours = Array.from({ length: WIDTH * HEIGHT * 3 }, (_, i) => (i * 5) % 256);
  await writeColour(sample.files[0]!, WIDTH, HEIGHT, colours);
  await writeGrey(sample.files[1]!, WIDTH, HEIGHT, DEPTH, 16);
});

type Kind = 'rgb' | 'depth';
const SPECS: Record<Kind, ModalitySpec> = {
  rgb: { name: 'rgb', kind: 'rgb', mean: 0, std: 1 },
  depth: { name: 'depth', kind: 'depth', invalid: 0 },
};
/** The whole picture, padded to the right and below, as drawn at `position`. */
async function planesOf(
  jitter: Partial<Record<Kind, ModalitySpec['jitter']>>,
  position = 0,
  transform: Transform = { kind: 'training', crop: [HEIGHT, WIDTH], flip: 0, scales: [1] },
) {
  const spec = (kind: Kind) => ({ ...SPECS[kind], ...(jitter[kind] && { jitter: jitter[kind] }) });
  const loader = new SampleLoader({
    modalities: [spec('rgb'), spec('depth')],
    labelRule: labelRule({ numClasses: 2 }),
    resize: null,
    transform,
    seed: 3,
    cacheBytes: 0,
  });
  return (await loader.load({ sample, index: 0, epoch: 0, position })).planes;
}

/** The gain and offset that make `to` of `from`, where `from` is not 0; checked at every value. */
function line(from: Float32Array, to: Float32Array): { gain: number; offset: number } {
  const known = Array.from(from.keys()).filter((i) => from[i]! > 0);
  const low = known.reduce((a, b) => (from[b]! < from[a]! ? b : a));
  const high = known.reduce((a, b) => (from[b]! > from[a]! ? b : a));
  const gain = (to[high]! - to[low]!) / (from[high]! - from[low]!);
  const offset = to[low]! - gain * from[low]!;
  for (const i of known) expect(to[i]!).toBeCloseTo(gain * from[i]! + offset, 5);
  return { gain, offset };
}

describe('a jitter', () => {
  it('is one line a sample, within its bounds and all over them, and leaves holes', async () => {
    const [colour, depth] = await planesOf({});
    const drawn = { rgb: [] as number[], gain: [] as number[], offset: [] as number[] };
    for (let position = 0; position < 200; position++) {
      const jitter = { rgb: { gain: 0.25 }, depth: { gain: 0.5, offset: 0.1 } };
      const [rgb, moved] = await planesOf(jitter, position);
      const bright = line(colour!, rgb!);
      expect(bright.offset).toBeCloseTo(0, 5);
      drawn.rgb.push(bright.gain);
      const { gain, offset } = line(depth!, moved!);
      drawn.gain.push(gain);
      drawn.offset.push(offset);
      for (const [i, raw] of DEPTH.entries()) if (raw === 0) expect(moved![i]).toBe(0);
    }
    const spans = (values: number[], low: number, high: number) => {
      const [least, most] = [Math.min(...values), Math.max(...values)];
      const margin = (high - low) / 20;
      expect(least).toBeGreaterThanOrEqual(low - 1e-5);
      expect(least).toBeLessThan(low + margin);
      expect(most).toBeLessThanOrEqual(high + 1e-5);
      expect(most).toBeGreaterThan(high - margin);
    };
    spans(drawn.rgb, 1 / 1.25, 1.25);
    spans(drawn.gain, 1 / 1.5, 1.5);
    spans(drawn.offset, -0.1, 0.1);
    // As often darker as brighter.
    const darker = drawn.rgb.filter((gain) => gain < 1).length;
    expect(Math.abs(darker - 100)).toBeLessThan(35);
  });

  it('depends on the position alone, and not on the other modality', async () => {
    const depth = { gain: 0.5, offset: 0.1 };
    const [, one] = await planesOf({ depth }, 5);
    const [, same] = await planesOf({ rgb: { gain: 0.4 }, depth }, 5);
    const [, other] = await planesOf({ depth }, 6);
    expect(same).toEqual(one);
    expect(other).not.toEqual(one);
  });

  it('is of training alone', async () => {
    const evaluation = { kind: 'evaluation' } as const;
    const moved = await planesOf({ rgb: { gain: 0.4 }, depth: { offset: 0.3 } }, 0, evaluation);
    expect(moved).toEqual(await planesOf({}, 0, evaluation));
  });

  it.each([
    ['rgb', { offset: 0.1 }, 'expected a gain alone of 0 or more'],
    ['rgb', { gain: -1 }, 'expected a gain alone of 0 or more'],
    ['depth', { gain: Number.NaN }, 'expected a gain and an offset of 0 or more'],
    ['depth', { offset: -0.1 }, 'expected a gain and an offset of 0 or more'],
  ] as [Kind, NonNullable<ModalitySpec['jitter']>, string][])(
    'is refused: %s %o',
    (kind, jitter, text) => {
      expect(() => jitterOf({ ...SPECS[kind], jitter })).toThrow(text);
    },
  );
});
