import { torch } from 'm3l';
import { ConfusionMatrix, metricsOf } from 'm3l/evaluation';
import { describe, expect, it } from 'vitest';
import { shared } from '../helpers/shared.js';

const golden = shared('golden/metrics.safetensors');

describe('ConfusionMatrix', () => {
  it('counts [label][prediction] over several batches, without void', () => {
    torch.scope(() => {
      using matrix = new ConfusionMatrix(3);
      matrix.add(
        torch.tensor([[0, 1, 2, 2]], { dtype: 'int64' }),
        torch.tensor([[0, 1, 1, 255]], { dtype: 'int64' }),
      );
      matrix.add(
        torch.tensor([0, 0], { dtype: 'uint8' }),
        torch.tensor([1, 0], { dtype: 'uint8' }),
      );
      expect(matrix.counts()).toEqual([
        [2, 0, 0],
        [1, 1, 1],
        [0, 0, 0],
      ]);
      const { meanIoU, pixelAccuracy, meanClassAccuracy, classIoU } = matrix.metrics();
      expect(classIoU).toEqual([2 / 3, 1 / 3, 0]);
      expect(meanIoU).toBeCloseTo(1 / 3, 12);
      expect(pixelAccuracy).toBeCloseTo(3 / 5, 12);
      expect(meanClassAccuracy).toBeCloseTo((1 + 1 / 3) / 2, 12);
    });
  });

  it('leaves out of the mean a class that occurs nowhere', () => {
    const { classIoU, meanIoU } = metricsOf([
      [4, 0, 0],
      [2, 2, 0],
      [0, 0, 0],
    ]);
    expect(classIoU[2]).toBeNull();
    expect(meanIoU).toBeCloseTo((4 / 6 + 2 / 4) / 2, 12);
  });

  it('refuses labels out of range and other shapes', () => {
    torch.scope(() => {
      using matrix = new ConfusionMatrix(3);
      const zeros = torch.zeros([2], { dtype: 'int64' });
      const labels = torch.tensor([1, 3], { dtype: 'int64' });
      expect(() => matrix.add(zeros, labels)).toThrow(/hold 3: expected 0 to 2/);
      expect(() => matrix.add(zeros, torch.zeros([3], { dtype: 'int64' }))).toThrow(/\[2\].*\[3\]/);
    });
  });

  it.skipIf(golden === null)("agrees with the authors'", () => {
    torch.scope(() => {
      const { tensors, metadata } = torch.loadSafetensors(golden!);
      for (const id of Object.keys(metadata).filter((key) => /^\d+$/.test(key))) {
        const expected = JSON.parse(metadata[id]!);
        using matrix = new ConfusionMatrix(expected.num_classes);
        matrix.add(tensors[`${id}.pred`]!, tensors[`${id}.labels`]!);
        expect(matrix.counts()).toEqual(tensors[`${id}.confusion`]!.toArray());
        const { meanIoU, pixelAccuracy, meanClassAccuracy } = matrix.metrics();
        expect(meanIoU).toBeCloseTo(expected.mean_iou, 10);
        expect(pixelAccuracy).toBeCloseTo(expected.pixel_acc, 10);
        expect(meanClassAccuracy).toBeCloseTo(expected.mean_acc, 10);
      }
    });
  });
});
