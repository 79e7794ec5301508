import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { torch } from 'm3l';
import { loadInputs, type ModalitySpec, normalisationOf } from 'm3l/data';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

let folder: string;
let file: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'm3l-modality-'));
  file = join(folder, 'depth.png');
  const values = Uint16Array.from([0, 1000, 2000, 5000]);
  await sharp(values, { raw: { width: 2, height: 2, channels: 1 } })
    .toColourspace('grey16')
    .png()
    .toFile(file);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The first channel of a depth image read as `spec` says. */
async function read(spec: Partial<ModalitySpec>): Promise<number[]> {
  const { inputs } = await loadInputs([{ name: 'depth', kind: 'depth', ...spec }], [file]);
  const values = torch.scope(() => Array.from(inputs[0]!.select(1, 0).toTypedArray(), Number));
  torch.dispose(inputs);
  return values;
}

describe('a depth modality', () => {
  const cases: [string, Partial<ModalitySpec>, number[]][] = [
    ['lies in [0, 1] as in the paper', {}, [0, 0.2, 0.4, 1]],
    ['leaves invalid values out of its range', { invalid: 0 }, [0, 0, 0.25, 1]],
    ['is centred by mean and std', { mean: 0.4, std: 0.2 }, [-2, -1, 0, 3]],
    [
      'puts holes at the far end before it is centred',
      { invalid: 0, mean: 0.5, std: 0.25 },
      [-2, -2, -1, 2],
    ],
  ];
  for (const [name, spec, expected] of cases) {
    it(name, async () => {
      const found = await read(spec);
      found.forEach((value, i) => {
        expect(value).toBeCloseTo(expected[i]!, 5);
      });
    });
  }
});

describe('an RGB modality', () => {
  it.each([
    ['ImageNet', {}, [(1 - 0.485) / 0.229, (0.4 - 0.456) / 0.224, (0.2 - 0.406) / 0.225]],
    ['one number', { mean: 0.6, std: 0.2 }, [2, -1, -2]],
    ['one a channel', { mean: [0.5, 0.4, 0], std: [0.25, 1, 0.1] }, [2, 0, 2]],
  ] as [string, Partial<ModalitySpec>, number[]][])(
    'is normalised by %s',
    async (_, own, expected) => {
      const picture = join(folder, 'rgb.png');
      const pixels = Uint8Array.from([255, 102, 51]);
      await sharp(pixels, { raw: { width: 1, height: 1, channels: 3 } }).toFile(picture);
      const { inputs } = await loadInputs([{ name: 'rgb', kind: 'rgb', ...own }], [picture]);
      const values = Array.from(inputs[0]!.toTypedArray(), Number);
      torch.dispose(inputs);
      values.forEach((value, c) => {
        expect(value).toBeCloseTo(expected[c]!, 5);
      });
    },
  );
});

describe('a normalisation that does not fit its kind', () => {
  it.each([
    ['rgb', { mean: [0.1, 0.2] }, 'found mean [0.1, 0.2], expected one number, or three'],
    ['rgb', { std: [1, 0, 1] }, 'found std [1, 0, 1], expected one number above 0, or three'],
    ['depth', { mean: [0.1, 0.2, 0.3] }, 'found mean [0.1, 0.2, 0.3], expected one number.'],
    ['depth', { std: -1 }, 'found std [-1], expected one number above 0.'],
    ['depth', { mean: Number.NaN }, 'found mean [NaN], expected one number.'],
  ] as ['rgb' | 'depth', Partial<ModalitySpec>, string][])(
    'is refused: %s %o',
    (kind, own, text) => {
      expect(() => normalisationOf({ name: 'thermal', kind, ...own })).toThrow(
        `modality 'thermal': ${text}`,
      );
    },
  );
});
