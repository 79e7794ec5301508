import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { torch } from 'm3l';
import type { Batch, ModalitySpec } from 'm3l/data';
import {
  ConfusionMatrix,
  classMap,
  contactSheet,
  evaluateRobust,
  predictClasses,
  predictMissing,
} from 'm3l/evaluation';
import { createModel, type Head, type SegmentationModel } from 'm3l/models';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';

const specs: readonly ModalitySpec[] = [
  { name: 'rgb', kind: 'rgb' },
  { name: 'depth', kind: 'depth', mean: 0.4, std: 0.2 },
];

function model(): SegmentationModel {
  torch.manualSeed(3);
  const made = createModel({ name: 'linear-fusion', backbone: 'mit-b0', numClasses: 5 });
  return made.eval() as SegmentationModel;
}

function inputsOf(height: number, width: number, count = 1): [torch.Tensor, torch.Tensor] {
  const generator = new torch.Generator().manualSeed(height * width);
  const shape = [count, 3, height, width];
  return [torch.randn(shape, { generator }), torch.rand(shape, { generator })];
}

/** Whatever a test does, without gradients and with nothing left. */
const frugal = (work: () => void) => torch.scope(() => torch.noGrad(work));

function expectSame(found: torch.Tensor, wanted: torch.Tensor): void {
  expect(found.shape).toEqual(wanted.shape);
  expect(found.dtype).toBe('int64');
  expect(found.ne(wanted).sum().item()).toBe(0);
}

describe('classMap', () => {
  it.each([true, false])('is the same a class at a time (align_corners: %s)', (alignCorners) => {
    frugal(() => {
      const generator = new torch.Generator().manualSeed(1);
      const logits = torch.randn([2, 7, 60, 50], { generator });
      // The fourth class ties with the third everywhere: the first of equals counts.
      logits.select(1, 3).copy_(logits.select(1, 2));
      const size = [300, 310];
      const wanted = torch.upsampleBilinear2d(logits, size, alignCorners).argmax(1);
      expectSame(classMap(logits, size, { alignCorners }), wanted);
    });
  });

  it('brings logits of the head to the inputs first', () => {
    frugal(() => {
      const logits = torch.randn([1, 4, 60, 55], {
        generator: new torch.Generator().manualSeed(2),
      });
      const window = { top: 3, left: 1, height: 230, width: 215 };
      const inputs = { padded: [238, 219], window } as const;
      const full = torch.upsampleBilinear2d(logits, [238, 219], true);
      const cut = full.narrow(2, 3, 230).narrow(3, 1, 215);
      expectSame(classMap(logits, [230, 215], { inputs }), cut.argmax(1));
      const resized = (size: number[]) => torch.upsampleBilinear2d(cut, size, false).argmax(1);
      expectSame(classMap(logits, [99, 120], { inputs }), resized([99, 120]));
      expectSame(classMap(logits, [520, 640], { inputs }), resized([520, 640]));
    });
  });
});

describe('predictClasses', () => {
  it("is the paper's evaluation where corners are aligned", () => {
    frugal(() => {
      using network = model();
      const [rgb, depth] = inputsOf(40, 40);
      const size = [57, 93];
      const found = predictClasses(network, [rgb, null], { specs, size, alignCorners: true });
      const { heads, ensemble } = network.forward([rgb, null]);
      for (const [h, logits] of [...heads, ensemble].entries()) {
        const wanted = torch.upsampleBilinear2d(logits, size, true).argmax(1);
        expectSame(found[h]!, wanted);
      }
      const [other] = predictClasses(network, [rgb, depth], { specs, size, heads: ['ensemble'] });
      const { ensemble: both } = network.forward([rgb, depth]);
      expectSame(other!, torch.upsampleBilinear2d(both, size, false).argmax(1));
    });
  });

  it.each([
    [20, 45],
    [33, 7],
    [3, 3],
  ])('pads %i × %i with black, evenly, and predicts the picture alone', (height, width) => {
    frugal(() => {
      using network = model();
      const { leastSide } = network;
      const inputs = inputsOf(height, width, 2);
      expect(() => network.forward(inputs)).toThrow(
        expect.objectContaining({ code: 'M3L_MODEL_INPUT' }),
      );
      const padded = [Math.max(height, leastSide), Math.max(width, leastSide)];
      const top = Math.floor((padded[0]! - height) / 2);
      const left = Math.floor((padded[1]! - width) / 2);
      const black = [[0.485 / 0.229, 0.456 / 0.224, 0.406 / 0.225], Array(3).fill(2)];
      const around = inputs.map((input, m) => {
        const level = torch.tensor(black[m]!).neg().reshape([1, 3, 1, 1]);
        const whole = level.expand([2, 3, ...padded]).clone();
        whole.narrow(2, top, height).narrow(3, left, width).copy_(input);
        return whole;
      });
      const logits = network.forward(around).ensemble.narrow(2, top, height).narrow(3, left, width);
      expect(predictMissing(network, inputs, { specs }).ensemble).toBeCloseToTensor(logits);
      const size = [height, width];
      expectSame(predictClasses(network, inputs, { specs, size }).at(-1)!, logits.argmax(1));
    });
  });

  it('takes the least side that it names', () => {
    frugal(() => {
      using network = model();
      const { leastSide } = network;
      const shape = network.forward(inputsOf(leastSide, leastSide)).ensemble.shape;
      expect(shape.slice(2)).toEqual([leastSide, leastSide]);
    });
  });

  it('averages with the mirrored image', () => {
    frugal(() => {
      using network = model();
      const inputs = inputsOf(36, 50);
      const mirrored = inputs.map((input) => input.flip([3]));
      const ask: { specs: typeof specs; flip: boolean } = { specs, flip: true };
      const { ensemble } = predictMissing(network, inputs, ask);
      const straight = network.forward(inputs).ensemble;
      const wanted = straight.add(network.forward(mirrored).ensemble.flip([3])).div(2);
      expect(ensemble).toBeCloseToTensor(wanted);
      const heads: Head[] = ['ensemble'];
      const [found] = predictClasses(network, inputs, { ...ask, size: [36, 50], heads });
      const [other] = predictClasses(network, mirrored, { ...ask, size: [36, 50], heads });
      // Mirrored twice: the sums are the same two numbers.
      expectSame(found!, other!.flip([2]));
    });
  });
});

function batch(height: number, width: number): Batch {
  return torch.detached(() => ({
    names: [`${height}x${width}`],
    modalities: inputsOf(height, width),
    labels: torch.scope(() =>
      torch.randint(0, 5, [1, height, width], {
        dtype: 'int64',
        generator: new torch.Generator().manualSeed(width),
      }),
    ),
    valid: null,
  }));
}

describe('images of their own sizes', () => {
  it('are evaluated at them', async () => {
    using student = model();
    const sizes: [number, number][] = [
      [33, 64],
      [20, 40],
    ];
    const given = { models: { student }, specs };
    const report = await evaluateRobust({ ...given, batches: sizes.map((size) => batch(...size)) });
    using matrix = new ConfusionMatrix(5);
    for (const size of sizes) {
      const { modalities, labels } = batch(...size);
      frugal(() => {
        const { ensemble } = predictMissing(student, modalities, { specs });
        matrix.add(ensemble.argmax(1), labels!);
      });
      torch.dispose([...modalities, labels]);
    }
    const found = report.models[0]!.heads.at(-1)!.cases[0]!;
    expect(found.meanIoU).toBeCloseTo(matrix.metrics().meanIoU, 12);
  });

  it('keep their aspects on a contact sheet', async () => {
    using student = model();
    const batches = [batch(40, 80), batch(64, 32), batch(30, 1100)];
    const classes = ['a', 'b', 'c', 'd', 'e'];
    const png = await contactSheet({ model: student, specs, classes, batches, rows: 3 });
    const { width, height } = await sharp(png).metadata();
    // 160 × 80, 160 × 320 and 512 × 14 below the titles, and one line of classes.
    const line = (height - 6 - (80 + 6) - (320 + 6) - (14 + 6) - 6) / 2;
    expect(width).toBe(6 + 6 * (512 + 6));
    expect(line).toBeGreaterThan(6);
    expect(line).toBeLessThan(20);
  });
});

describe('memory', () => {
  it('hardly grows with the number of classes', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'm3l-memory-'));
    const side = 1200;
    const files = [3, 1].map((channels) => join(folder, `${channels}.png`));
    for (const [k, channels] of ([3, 1] as const).entries()) {
      const values = Uint8Array.from({ length: side * side * channels }, (_, i) => i % 251);
      const image = sharp(values, { raw: { width: side, height: side, channels } });
      await image.toColourspace(channels === 1 ? 'b-w' : 'srgb').toFile(files[k]!);
    }
    const script = join(import.meta.dirname, '../../bench/children/predict-memory.mjs');
    const run = promisify(execFile);
    const peak = async (classes: number) => {
      const options = JSON.stringify({ way: 'predict', classes, files, scale: 0.9 });
      const { stdout } = await run(process.execPath, [script, options]);
      return (JSON.parse(stdout) as { megabytes: number }).megabytes;
    };
    const grown = (((await peak(40)) - (await peak(3))) * 1e6) / side ** 2;
    rmSync(folder, { recursive: true, force: true });
    // Of the head's logits 37 / 16 · 4 = 9 bytes a pixel; full-size logits would take 148 more.
    expect(grown).toBeLessThan(40);
  }, 120_000);
});
