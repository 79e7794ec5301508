import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { torch } from 'm3l';
import { loadInputs } from 'm3l/data';
import { checkConfig, exportOnnx, predict, RunFolder, train } from 'm3l/experiment';
import { writeRooms } from 'm3l/rooms';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { onnxruntime } from '../helpers/onnxruntime.js';

const [HEIGHT, WIDTH] = [36, 52];
const runtime = onnxruntime();
let folder: string;
let run: RunFolder;
let images: Record<string, string>;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'm3l-export-'));
  const root = join(folder, 'rooms');
  const counts = { labelled: 2, unlabelled: 0, val: 2 };
  await writeRooms(root, { ...counts, width: WIDTH, height: HEIGHT, workers: 0 });
  const config = checkConfig({
    data: {
      root,
      classes: 13,
      lists: { labelled: 'train_labelled.txt', val: 'val.txt' },
      crop: 32,
    },
    model: { backbone: 'mit-b0' },
    framework: 'supervised-modality-dropout',
    iterations: 2,
    batch: { labelled: 1 },
    evaluate: { every: 2 },
  });
  run = RunFolder.create(config, join(folder, 'run'));
  await train({ config, run });
  const image = (kind: string) => join(root, kind, 'val_000001.png');
  images = { rgb: image('rgb'), depth: image('depth') };
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The classes that onnxruntime finds in the scene's images. */
async function classesOf(file: string, given: readonly string[]): Promise<Uint8Array> {
  const config = run.config();
  const specs = Object.entries(config.data.modalities).map(([name, each]) => ({ name, ...each }));
  const files = specs.map(({ name }) => (given.includes(name) ? images[name]! : null));
  const { inputs } = await loadInputs(specs, files);
  const session = await runtime!.InferenceSession.create(file, { intraOpNumThreads: 1 });
  const feeds = Object.fromEntries(
    given.map((name) => {
      const values = inputs[specs.findIndex((spec) => spec.name === name)]!.toTypedArray();
      return [name, new runtime!.Tensor('float32', values, [1, 3, HEIGHT, WIDTH])];
    }),
  );
  torch.dispose(inputs);
  const { logits } = await session.run(feeds);
  return torch.scope(() =>
    torch.tensor(logits!.data, { shape: logits!.dims }).argmax(1).to('uint8').toTypedArray(),
  ) as Uint8Array;
}

test.skipIf(runtime === null).each([{ given: ['rgb', 'depth'] }, { given: ['depth'] }])(
  'onnxruntime predicts the classes that m3l predicts, given $given',
  async ({ given }) => {
    const out = join(folder, `${given.join('-')}.onnx`);
    const exported = exportOnnx(run, { out, modalities: given, size: [HEIGHT, WIDTH] });
    expect(Object.keys(exported.inputs)).toEqual(given);
    expect(exported.iteration).toBe(2);
    const png = join(folder, `${given.join('-')}.png`);
    await predict(run, {
      images: Object.fromEntries(given.map((name) => [name, images[name]!])),
      out: png,
    });
    const data = await sharp(png).toColourspace('b-w').raw().toBuffer();
    expect(data.length).toBe(HEIGHT * WIDTH);
    const found = await classesOf(out, given);
    const same = found.filter((value, i) => value === data[i]).length;
    // A tie of two classes may go either way.
    expect(same / found.length).toBeGreaterThan(0.999);
  },
);

test('an unknown modality or network is named, and nothing is written', () => {
  const out = join(folder, 'none.onnx');
  const refusal = (options: object) => {
    try {
      exportOnnx(run, { out, ...options });
      return 'written';
    } catch (error) {
      return (error as Error).message;
    }
  };
  expect(refusal({ modalities: ['dpth'] })).toContain("Did you mean 'depth'?");
  expect(refusal({ network: 'teacher' })).toContain("found network 'teacher', expected one of");
  expect(refusal({ size: [8, 8] })).toContain('Inputs of 8 × 8 pixels');
});
