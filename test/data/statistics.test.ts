import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type ModalitySpec, measureNormalisation, type Sample } from 'm3l/data';
import { describe, expect, it } from 'vitest';
import { temporaryFolder, writeColour, writeGrey } from './fixtures.js';

const folder = temporaryFolder();

/** 40 scenes of 2 × 2 pixels: grey of one level in each, depth with a hole, colour, and a constant. */
async function scenes(): Promise<Sample[]> {
  mkdirSync(folder, { recursive: true });
  return Promise.all(
    Array.from({ length: 40 }, async (_, k) => {
      const files = ['grey', 'depth', 'rgb', 'flat'].map((name) =>
        join(folder, `${name}-${k}.png`),
      );
      const level = k % 2 === 0 ? 51 : 153;
      await writeGrey(files[0]!, 2, 2, Array(4).fill(level));
      // 0 was not measured: 1000, 2000 and 4000 read as 0.1, 0.2 and 0.4 of the range.
      await writeGrey(files[1]!, 2, 2, [0, 1000, 2000, 4000], 16);
      await writeColour(files[2]!, 2, 2, Array(4).fill([255, 0, level]).flat());
      await writeGrey(files[3]!, 2, 2, Array(4).fill(7));
      return { name: `${k}`, files, label: null };
    }),
  );
}

const SPECS: readonly ModalitySpec[] = [
  { name: 'grey', kind: 'grey' },
  { name: 'depth', kind: 'depth', invalid: 0, range: [0, 10], scale: 0.001 },
  { name: 'rgb', kind: 'rgb' },
  { name: 'flat', kind: 'depth' },
];

describe('measureNormalisation', () => {
  it('01 measures valid pixels over all images, as a modality reads them', async () => {
    const [grey, depth, rgb, flat] = await measureNormalisation(await scenes(), SPECS, {
      workers: 0,
    });
    expect(grey).toEqual({ mean: [0.4], std: [0.2] });
    // Mean 0.7 / 3, of the squares 0.21 / 3.
    expect(depth).toEqual({ mean: [0.233], std: [0.125] });
    // One channel of three is constant.
    expect([rgb, flat]).toEqual([null, null]);
  });

  it('02 gives the same whatever the number of threads', async () => {
    const samples = await scenes();
    const [none, two] = await Promise.all(
      [0, 2].map((workers) => measureNormalisation(samples, SPECS, { workers })),
    );
    expect(two).toEqual(none);
  });

  it('03 passes over what cannot be read, and what is not asked for', async () => {
    const [broken, ...others] = await scenes();
    const samples = [{ ...broken!, files: Array(4).fill(join(folder, 'absent.png')) }, ...others];
    const [grey, depth] = await measureNormalisation(samples, [SPECS[0]!, null, null, null], {
      workers: 0,
    });
    expect(grey!.mean[0]).toBeCloseTo(0.405, 3);
    expect(depth).toBeNull();
  });

  it('04 ends by a signal', async () => {
    const signal = AbortSignal.abort(new Error('enough'));
    const measuring = measureNormalisation(await scenes(), SPECS, { workers: 0, signal });
    await expect(measuring).rejects.toThrow('enough');
  });
});
