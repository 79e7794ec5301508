import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { torch } from 'm3l';
import { classColours, disposeBatch, loadInputs, readColour, readLabels } from 'm3l/data';
import { ConfusionMatrix, predictClasses } from 'm3l/evaluation';
import {
  type Config,
  checkConfig,
  disposeNetworks,
  evaluateRun,
  headline,
  loadNetworks,
  openDatasets,
  predict,
  predictorInWorker,
  RunFolder,
  train,
} from 'm3l/experiment';
import { optimizeForInference } from 'm3l/inference';
import { writeRooms } from 'm3l/rooms';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const [HEIGHT, WIDTH] = [36, 52];
let folder: string;
let run: RunFolder;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'm3l-predict-'));
  const counts = { labelled: 2, unlabelled: 0, val: 2 };
  await writeRooms(join(folder, 'rooms'), { ...counts, width: WIDTH, height: HEIGHT, workers: 0 });
  const config = configOf();
  run = RunFolder.create(config, join(folder, 'run'));
  await train({ config, run });
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function configOf({ data, ...changes }: Record<string, object | string> = {}): Config {
  return checkConfig({
    data: {
      root: join(folder, 'rooms'),
      classes: 13,
      lists: { labelled: 'train_labelled.txt', val: 'val.txt' },
      crop: 32,
      ...(data as object),
    },
    model: { backbone: 'mit-b0' },
    framework: 'supervised-modality-dropout',
    iterations: 1,
    batch: { labelled: 1 },
    evaluate: { samples: 0 },
    threads: 1,
    workers: 0,
    ...changes,
  });
}

async function inputSizes(config: Config): Promise<number[][]> {
  const datasets = await openDatasets(config);
  const sizes: number[][] = [];
  for await (const batch of datasets.validation()) {
    sizes.push(batch.modalities[0]!.shape.slice(2), batch.labels!.shape.slice(1));
    disposeBatch(batch);
  }
  await datasets.close();
  return sizes;
}

describe('the size that images are evaluated at', () => {
  const own = [HEIGHT, WIDTH];

  it('01 is their own, or after data.resize; data.evaluationSize overrides it', async () => {
    expect(await inputSizes(configOf())).toEqual([own, own]);
    expect(await inputSizes(configOf({ data: { resize: [40, 60] } }))).toEqual([[40, 60], own]);
    expect(await inputSizes(configOf({ data: { evaluationSize: 48 } }))).toEqual([[48, 48], own]);
  });

  it('02 is the crop under the fidelity of the paper, the aspect lost', async () => {
    const framework = { name: 'supervised', fidelity: 'paper' };
    expect(await inputSizes(configOf({ framework }))).toEqual([[32, 32], own]);
    const sized = configOf({ framework, data: { evaluationSize: [40, 50] } });
    expect(await inputSizes(sized)).toEqual([[40, 50], own]);
  });

  it.each(['crop', 'evaluationSize'])('03 refuses a data.%s that the model cannot take', (key) => {
    const refuse = (size: number | number[]) => () => configOf({ data: { [key]: size } });
    expect(refuse(16)).toThrow(`data.${key}: found [16, 16], expected at least 29 a side`);
    expect(refuse([29, 28])).toThrow(`data.${key}: found [29, 28]`);
    expect(refuse([29, 30])).not.toThrow();
  });
});

describe('fidelity: paper', () => {
  it("06 evaluates as the authors do: squeezed by OpenCV's nearest pixel, corners aligned", async () => {
    const config = run.config(['framework.fidelity=paper']);
    const report = await evaluateRun(run, { sets: ['framework.fidelity=paper'] });
    const { networks } = loadNetworks(join(run.checkpoints, 'step-0000001'), config, 13);
    const { student } = networks;
    student.eval();
    const [own, squeezed] = await Promise.all([openDatasets(run.config()), openDatasets(config)]);
    using matrix = new ConfusionMatrix(13);
    const depths: torch.Tensor[] = [];
    for await (const { modalities, labels, valid } of own.validation()) {
      depths.push(...torch.detached(() => modalities[1]!.unbind(0)));
      disposeBatch({ names: [], modalities, labels, valid });
    }
    for await (const batch of squeezed.validation()) {
      torch.scope(() => {
        const floor = (source: number) =>
          torch
            .tensor(Array.from({ length: 32 }, (_, i) => Math.floor((i * source) / 32)))
            .to('int64');
        const picked = torch
          .stack(depths)
          .indexSelect(2, floor(HEIGHT))
          .indexSelect(3, floor(WIDTH));
        expect(batch.modalities[1]!).toBeCloseToTensor(picked);
        const { ensemble } = torch.noGrad(() => student.forward(batch.modalities));
        const logits = torch.upsampleBilinear2d(ensemble, [HEIGHT, WIDTH], true);
        matrix.add(logits.argmax(1), batch.labels!);
      });
      disposeBatch(batch);
    }
    expect(headline(report).cases[0]!.meanIoU).toBeCloseTo(matrix.metrics().meanIoU, 12);
    expect(headline(await evaluateRun(run)).cases[0]!.meanIoU).not.toBe(matrix.metrics().meanIoU);
    torch.dispose(depths);
    await Promise.all([own.close(), squeezed.close()]);
    disposeNetworks(networks);
  });
});

describe('predict', () => {
  const image = (kind: string) => join(folder, 'rooms', kind, 'val_000001.png');

  it('04 finds the classes of each pixel at the size of the image', async () => {
    const out = join(folder, 'made', 'for it', 'classes.png');
    const overlay = join(folder, 'made', 'too', 'overlay.png');
    const images = { rgb: image('rgb'), depth: image('depth') };
    const found = await predict(run, { images, out, overlay });
    expect(found).toMatchObject({ size: [HEIGHT, WIDTH], missing: [], out, overlay });
    const { data } = await readLabels(out);

    const config = run.config();
    // As the run has them: the depth's normalisation was measured.
    const specs = Object.entries(config.data.modalities).map(([name, one]) => ({ name, ...one }));
    const { networks } = loadNetworks(join(run.checkpoints, 'step-0000001'), config, 13);
    networks.student.eval();
    const { inputs } = await loadInputs(specs, [images.rgb, images.depth]);
    torch.scope(() => {
      const [wanted] = torch.noGrad(() =>
        predictClasses(networks.student, inputs, {
          ...{ specs, size: [HEIGHT, WIDTH], heads: ['ensemble'] },
        }),
      );
      expect([...data]).toEqual([...wanted!.toTypedArray()].map(Number));
    });
    torch.dispose(inputs);
    disposeNetworks(networks);

    const drawn = await readColour(overlay);
    const photo = await readColour(images.rgb);
    const colours = classColours(config.data.classes!);
    expect([drawn.height, drawn.width]).toEqual([HEIGHT, WIDTH]);
    for (let i = 0; i < drawn.data.length; i += 101) {
      const wanted = (colours[data[Math.floor(i / 3)]!]![i % 3]! + photo.data[i]!) / 2;
      expect(Math.abs(drawn.data[i]! - wanted)).toBeLessThan(1);
    }
  });

  it('05 writes the format that the name says, from depth alone too', async () => {
    const write = (out: string, overlay?: string) =>
      predict(run, { images: { depth: image('depth') }, out: join(folder, out), overlay });
    await write('a.png');
    const over = join(folder, 'b.jpg');
    expect((await write('a.TIF', over)).missing).toEqual(['rgb']);
    const { format, width, channels } = await sharp(join(folder, 'a.TIF')).metadata();
    expect([format, width, channels]).toEqual(['tiff', WIDTH, 1]);
    expect((await sharp(over).metadata()).format).toBe('jpeg');
    const pixels = (name: string) => sharp(join(folder, name)).extractChannel(0).raw().toBuffer();
    expect(await pixels('a.TIF')).toEqual(await pixels('a.png'));
    // Depth is drawn in the greys of its range: neither black nor one colour.
    const { channels: drawn } = await sharp(over).stats();
    expect(drawn[0]!.stdev).toBeGreaterThan(5);

    await expect(write('a.jpg')).rejects.toThrow(/'.jpg', expected one of .png, .tif, .tiff/);
    await expect(write('c')).rejects.toThrow(/no extension/);
    await expect(write('c.png', join(folder, 'c.gif'))).rejects.toThrow(/'.gif'.*\.webp/);
    expect(existsSync(join(folder, 'c.png'))).toBe(false);
  });
});

describe('the predictor in a worker', () => {
  it('07 answers as one here does, and refuses with the same codes', async () => {
    await using predictor = await predictorInWorker(run, { measure: false });
    const { specs, loading } = predictor;
    const config = run.config();
    expect(predictor).toMatchObject({ modalities: 2, numClasses: 13, leastSide: 29 });
    expect([predictor.classes, predictor.colours.length]).toEqual([config.data.classes, 13]);
    const files = ['rgb', 'depth'].map((kind) => join(folder, 'rooms', kind, 'val_000001.png'));
    const { inputs, size } = await loadInputs(specs, files, loading);
    const { networks } = loadNetworks(join(run.checkpoints, 'step-0000001'), config, 13);
    const view = optimizeForInference(networks.student!, { measure: false });
    await torch.scope(async () => {
      const here = view.forward(inputs);
      const there = await predictor.forward(inputs);
      expect(there.ensemble.equal(here.ensemble)).toBe(true);
      expect(there.heads.map((head, m) => head.equal(here.heads[m]!))).toEqual([true, true]);
      const [head] = await predictor.forwardHeads(inputs, [1], { upsample: false });
      expect(head!.shape).toEqual([1, 13, 9, 13]);
      const asked = { size, heads: ['ensemble'] as const };
      const [classes] = await predictor.predictClasses([inputs[0]!, null], asked);
      const [wanted] = predictClasses(view, [inputs[0]!, null], { specs, ...asked });
      expect(classes!.equal(wanted!)).toBe(true);

      await expect(predictor.forward([null, null])).rejects.toMatchObject({
        code: 'M3L_MODEL_INPUT',
        message: 'Every modality is missing.',
      });
      const signal = AbortSignal.abort();
      await expect(predictor.forward(inputs, { signal })).rejects.toThrow(/aborted/);
    });
    torch.dispose(inputs);
    view.dispose();
    disposeNetworks(networks);
    await predictor.close();
    await expect(predictor.forward([null])).rejects.toMatchObject({ code: 'M3L_WORKER_CLOSED' });
    expect(torch.memory().shared).toBe(0);
  });

  it.each([
    [() => 'nowhere', {}, 'M3L_RUN_MISSING'],
    [() => run.path, { sets: ['typo=1'] }, 'M3L_CONFIG'],
    [() => run.path, { device: 'cuda:99' }, 'M3L_NO_CUDA'],
    [() => run.path, { typo: 1 }, 'M3L_ARGUMENT'],
    [() => 5, {}, 'M3L_ARGUMENT'],
  ])('08 of %s with %j is refused with %s', async (where, options, code) => {
    await expect(predictorInWorker(where() as never, options as never)).rejects.toMatchObject({
      code: expect.stringContaining(code),
    });
  });
});
