import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { torch } from 'm3l';
import { loadInputs } from 'm3l/data';
import { checkConfig } from 'm3l/experiment';
import { afterAll, describe, expect, it } from 'vitest';
import { SceneReader } from '../../dist/view/scene-reader.js';
import { pattern, writeColour, writeGrey } from '../data/fixtures.js';

const folder = mkdtempSync(join(tmpdir(), 'm3l-scenes-'));
const [WIDTH, HEIGHT] = [24, 18];
const files = ['rgb', 'depth', 'label'].map((name) => join(folder, `${name}.png`));
const [rgb, depth, label] = files as [string, string, string];

afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function reader(): Promise<SceneReader> {
  await writeColour(rgb, WIDTH, HEIGHT, pattern(WIDTH * HEIGHT * 3, 256, 7));
  await writeGrey(depth, WIDTH, HEIGHT, pattern(WIDTH * HEIGHT, 9000, 37), 16);
  await writeGrey(label, WIDTH, HEIGHT, pattern(WIDTH * HEIGHT, 3, 5));
  const config = checkConfig({
    data: {
      root: folder,
      classes: ['a', 'b', 'c'],
      lists: { labelled: 'a', unlabelled: 'b', val: 'c' },
    },
    model: { backbone: 'mit-b0' },
    iterations: 1,
  });
  return new SceneReader(config, [{ name: 'scene', files: [rgb, depth], label }]);
}

describe('SceneReader', () => {
  it('decodes a scene once for its pictures, its label and all that a network is given of it', async () => {
    const scenes = await reader();
    const cases = [[], [0], [1]];
    const asked = await Promise.all([
      ...['rgb', 'depth'].map((name) => scenes.picture(0, name)),
      scenes.label(0),
      ...cases.map((missing) => scenes.inputs(0, missing, {})),
    ]);
    expect(asked).toHaveLength(6);
    expect(scenes.decodes).toBe(1);
    torch.dispose(asked.slice(3) as (torch.Tensor | null)[][]);
  });

  it('gives a network what a prediction of the same files gives it', async () => {
    const scenes = await reader();
    for (const size of [undefined, [9, 12] as const]) {
      for (const missing of [[], [1]]) {
        const given = await scenes.inputs(0, missing, size === undefined ? {} : { size });
        const wanted = await loadInputs(
          scenes.specs,
          [rgb, missing.includes(1) ? null : depth],
          size === undefined ? {} : { size },
        );
        const plain = (tensors: readonly (torch.Tensor | null)[]) =>
          tensors.map((each) => each && [each.shape, each.contiguous().toTypedArray()]);
        expect(plain(given)).toEqual(plain(wanted.inputs));
        torch.dispose([given, wanted.inputs]);
      }
    }
  });
});
