import { torch } from 'm3l';
import { BoundaryIoU, Calibration, evaluateRobust } from 'm3l/evaluation';
import { createModel } from 'm3l/models';
import { describe, expect, it } from 'vitest';

const int64 = (values: number[][]) => torch.tensor([values], { dtype: 'int64' });

describe('calibration', () => {
  it('01 is the mean gap between how sure and how often right, weighed by pixels', () => {
    torch.scope(() => {
      const calibration = new Calibration();
      // Four pixels at 0.9, half right; two at 0.5, both right; one void.
      const classes = int64([[1, 1, 1, 1, 0, 0, 2]]);
      const labels = int64([[1, 1, 0, 0, 0, 0, 255]]);
      const confidence = torch.tensor([[[0.9, 0.9, 0.9, 0.9, 0.5, 0.5, 1]]]);
      calibration.add(classes, confidence, labels);
      const { calibrationError, reliability } = calibration.result();
      expect(calibrationError).toBeCloseTo((4 * 0.4 + 2 * 0.5) / 6, 6);
      const filled = reliability.filter(({ pixels }) => pixels > 0);
      expect(filled.map(({ pixels, accuracy }) => [pixels, accuracy])).toEqual([
        [2, 1],
        [4, 0.5],
      ]);
      expect(reliability[14]).toEqual({ pixels: 0, confidence: null, accuracy: null });
      calibration.dispose();
    });
  });
});

describe('boundary IoU', () => {
  /** A square of class 1 within class 0, moved right. */
  const square = (moved: number, side = 30) =>
    torch.scope(() => {
      const map = torch.zeros([1, 64, 64], { dtype: 'int64' });
      torch.scope(
        () =>
          void map
            .narrow(1, 10, side)
            .narrow(2, 10 + moved, side)
            .fill_(1),
      );
      return map;
    });

  it('02 is 1 for the same, and falls faster than the IoU where an edge is off', () => {
    torch.scope(() => {
      const of = (moved: number) => {
        const measure = new BoundaryIoU(3);
        measure.add(square(moved), square(0));
        const result = measure.result();
        measure.dispose();
        return result;
      };
      expect(of(0)).toEqual({ boundaryIoU: 1, classBoundaryIoU: [1, 1, null] });
      // 2 % of the diagonal: 2 pixels. Frames of 2 pixels, 28 and 26 a side within.
      const frame = 30 * 30 - 26 * 26;
      const vertical = 2 * 26; // of each upright bar
      // Moved by 1, of each bar one column of 2 is shared; of the others all but a column.
      const shared = 2 * (vertical / 2) + 2 * 2 * 29;
      const [, one] = of(1).classBoundaryIoU as number[];
      expect(one).toBeCloseTo(shared / (2 * frame - shared), 1);
      expect(one).toBeLessThan(29 / 31);
      expect(of(6).boundaryIoU).toBeLessThan(of(1).boundaryIoU);
    });
  });

  it('03 takes the image’s border for an edge, and leaves out what is void', () => {
    torch.scope(() => {
      const measure = new BoundaryIoU(2);
      const all = torch.ones([1, 50, 50], { dtype: 'int64' });
      const wrong = torch.zeros([1, 50, 50], { dtype: 'int64' });
      torch.scope(() => void wrong.narrow(2, 25, 25).fill_(1));
      const labels = all.clone();
      torch.scope(() => void labels.narrow(2, 0, 25).fill_(255));
      measure.add(wrong, labels);
      expect(measure.result()).toEqual({ boundaryIoU: 1, classBoundaryIoU: [null, 1] });
      measure.add(wrong, all);
      expect(measure.result().classBoundaryIoU[0]).toBe(0);
      measure.dispose();
    });
  });
});

it('04 an evaluation measures both of the ensemble where asked to, and no more', async () => {
  await torch.scope(async () => {
    using model = createModel({ name: 'linear-fusion', backbone: 'mit-b0', numClasses: 3 });
    const specs = [
      { name: 'rgb', kind: 'rgb' },
      { name: 'depth', kind: 'depth' },
    ] as const;
    const batches = () => [
      torch.detached(() => ({
        names: ['one', 'two'],
        modalities: [torch.randn([2, 3, 32, 40]), torch.randn([2, 3, 32, 40])],
        labels: torch.randint(0, 3, [2, 30, 44], { dtype: 'int64' }),
        valid: null,
      })),
    ];
    const result = await evaluateRobust({
      models: { student: model },
      specs,
      batches: batches(),
      calibration: true,
      boundary: true,
    });
    const [rgb, , ensemble] = result.models[0]!.heads;
    for (const one of ensemble!.cases) {
      expect(one.calibrationError).toBeGreaterThan(0);
      expect(one.calibrationError).toBeLessThan(1);
      expect(one.boundaryIoU).toBeGreaterThan(0);
      const pixels = one.reliability!.reduce((sum, bin) => sum + bin.pixels, 0);
      expect(pixels).toBe(2 * 30 * 44);
    }
    expect(rgb!.cases[0]).not.toHaveProperty('boundaryIoU');
    const plain = await evaluateRobust({ models: { student: model }, specs, batches: batches() });
    const [, , last] = plain.models[0]!.heads;
    expect(last!.cases[0]).not.toHaveProperty('calibrationError');
  });
});
