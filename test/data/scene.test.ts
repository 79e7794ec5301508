import { join } from 'node:path';
import { torch } from 'm3l';
import {
  DataLoader,
  type DatasetOptions,
  disposeBatch,
  ListDataset,
  loadInputs,
  type ModalitySpec,
} from 'm3l/data';
import sharp from 'sharp';
import { beforeAll, describe, expect, it } from 'vitest';
import { pattern, temporaryFolder, writeColour, writeGrey } from './fixtures.js';

const folder = temporaryFolder();
const at = (name: string) => join(folder, name);
const modalities: ModalitySpec[] = [
  { name: 'rgb', kind: 'rgb' },
  { name: 'depth', kind: 'depth' },
];

beforeAll(async () => {
  await writeColour(at('rgb.png'), 8, 6, pattern(8 * 6 * 3, 256));
  await writeGrey(at('depth.png'), 4, 3, pattern(12, 60000), 16);
  await writeGrey(at('label.png'), 8, 6, pattern(48, 3));
  await writeGrey(at('half.png'), 4, 3, pattern(12, 3));
  await writeGrey(at('wide.png'), 9, 3, pattern(27, 3));
  await writeGrey(at('upright.png'), 3, 4, pattern(12, 3));
});

/** Shapes of the inputs and the label of one sample. */
async function shapes(
  options: Partial<DatasetOptions>,
  kind: 'training' | 'evaluation' = 'evaluation',
  { depth = 'depth.png', label = 'label.png' } = {},
): Promise<number[][]> {
  const sample = { name: 's', files: [at('rgb.png'), at(depth)], label: at(label) };
  const set = new ListDataset({ samples: [sample], modalities, numClasses: 3, ...options });
  const transform = kind === 'training' ? ({ kind, crop: [5, 7] } as const) : ({ kind } as const);
  const loader = new DataLoader(set, { transform, batchSize: 1 });
  const batch = await loader.batch(0);
  const found = [...batch.modalities, batch.labels!].map((tensor) => tensor.shape.slice(-2));
  disposeBatch(batch);
  return found;
}

const mismatch = (text: string) =>
  expect.objectContaining({
    code: 'M3L_SIZE_MISMATCH',
    message: expect.stringContaining(text),
  });

describe('a scene of different sizes', () => {
  it('is refused, with files, sizes and both mends', async () => {
    await expect(shapes({})).rejects.toThrow(
      mismatch(`${at('depth.png')}: found 4 × 3 pixels, expected 8 × 6 as ${at('rgb.png')} has.`),
    );
    await expect(shapes({})).rejects.toThrow(mismatch('data.resize: [height, width]'));
    await expect(shapes({})).rejects.toThrow(mismatch('data.align: NAME'));
  });

  it.each(['evaluation', 'training'] as const)('is resized to one, in %s', async (kind) => {
    const seen = kind === 'training' ? [5, 7] : [12, 16];
    const label = kind === 'training' ? [5, 7] : [6, 8];
    expect(await shapes({ resize: [12, 16] }, kind)).toEqual([seen, seen, label]);
  });

  it('takes the size of the modality that is named', async () => {
    expect(await shapes({ align: 'rgb' })).toEqual([
      [6, 8],
      [6, 8],
      [6, 8],
    ]);
    expect(await shapes({ align: 'depth' })).toEqual([
      [3, 4],
      [3, 4],
      [6, 8],
    ]);
    const half = { label: 'half.png' };
    expect(await shapes({ align: 'rgb' }, 'evaluation', half)).toEqual([
      [6, 8],
      [6, 8],
      [3, 4],
    ]);
    expect(await shapes({ align: 'rgb' }, 'training', half)).toEqual([
      [5, 7],
      [5, 7],
      [5, 7],
    ]);
    expect(() => new ListDataset({ samples: [], modalities, align: 'rgb' })).toThrow();
    await expect(shapes({ align: 'thermal' })).rejects.toThrow(
      "align: found 'thermal', expected one of rgb, depth.",
    );
  });

  it('is refused where one lies on its side, or the label has another shape', async () => {
    const options = { resize: [6, 8] } as const;
    await expect(shapes(options, 'training', { depth: 'upright.png' })).rejects.toThrow(
      mismatch('upright.png: found 3 × 4 pixels, expected 8 × 6'),
    );
    await expect(shapes(options, 'training', { label: 'wide.png' })).rejects.toThrow(
      mismatch('wide.png: found 9 × 3 pixels'),
    );
    expect(await shapes(options, 'training', { depth: 'wide.png' })).toHaveLength(3);
  });

  it('names the EXIF orientation that turned a file', async () => {
    await sharp(Uint8Array.from(pattern(8 * 6 * 3, 256)), {
      raw: { width: 8, height: 6, channels: 3 },
    })
      .withMetadata({ orientation: 6 })
      .jpeg()
      .toFile(at('turned.jpg'));
    const files = [at('turned.jpg'), at('depth.png')];
    await expect(loadInputs(modalities, files)).rejects.toThrow(
      mismatch('expected 6 × 8 (turned by its EXIF orientation 6) as'),
    );
  });

  it('is predicted as it was trained, whatever is missing', async () => {
    const predict = async (files: (string | null)[], options: Parameters<typeof loadInputs>[2]) => {
      const { inputs, size } = await loadInputs(modalities, files, options);
      const found = inputs.map((input) => input?.shape.slice(-2) ?? null);
      torch.dispose(inputs);
      return { found, size };
    };
    const files = [at('rgb.png'), at('depth.png')];
    expect(await predict(files, { align: 'depth' })).toEqual({
      found: [
        [3, 4],
        [3, 4],
      ],
      size: [3, 4],
    });
    expect(await predict([at('rgb.png'), null], { align: 'depth' })).toEqual({
      found: [[6, 8], null],
      size: [6, 8],
    });
    expect(await predict(files, { resize: [12, 16] })).toEqual({
      found: [
        [12, 16],
        [12, 16],
      ],
      size: [6, 8],
    });
  });
});
