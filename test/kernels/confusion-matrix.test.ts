import { torch } from 'm3l';
import { describe, expect, it } from 'vitest';

type Tensor = torch.Tensor;

const devices = torch.cuda.isAvailable() ? ['cpu', 'cuda'] : ['cpu'];
if (devices.length === 1) console.log('confusion_matrix on CUDA: skipped, no GPU here');

const count = (labels: Tensor, predictions: Tensor, classes: number, ignore = 255) =>
  torch.ops.m3l!.confusion_matrix!(labels, predictions, classes, ignore) as Tensor;

describe.each(devices)('confusion_matrix on %s', (device) => {
  const integers = (high: number, shape: number[]) => torch.randint(0, high, shape).to({ device });

  it.each([
    { classes: 1, shape: [7] },
    { classes: 2, shape: [1] },
    { classes: 13, shape: [3, 61, 67] },
    { classes: 37, shape: [2, 130, 129] },
    { classes: 300, shape: [500, 301] },
    { classes: 5, shape: [0] },
  ])('counts as bincount does: $classes classes, $shape', ({ classes, shape }) => {
    torch.scope(() => {
      const labels = integers(classes, shape);
      const predictions = integers(classes, shape);
      const isVoid = torch.rand(shape).lt(0.2).to({ device });
      const cells = labels.mul(classes).add(predictions).maskedSelect(isVoid.logicalNot());
      const expected = torch.bincount(cells, null, classes * classes).reshape([classes, classes]);
      // Not 255 where that is a class.
      const found = count(labels.maskedFill(isVoid, -7), predictions, classes, -7);
      expect(found.dtype).toBe('int64');
      expect(found.toArray()).toEqual(expected.toArray());
    });
  });

  it.each(['uint8', 'int8', 'int16', 'int32', 'int64'] as const)('takes %s', (dtype) => {
    torch.scope(() => {
      const labels = integers(5, [40, 50]);
      const predictions = integers(5, [50, 40]).t();
      const expected = count(labels, predictions.contiguous(), 5).toArray();
      expect(count(labels.to(dtype), predictions, 5).toArray()).toEqual(expected);
      expect(count(labels, predictions.to(dtype), 5).toArray()).toEqual(expected);
      expect(count(labels.to(dtype), predictions.to(dtype), 5).toArray()).toEqual(expected);
    });
  });

  it('names what is out of range, but lets a void pixel predict what it will', () => {
    torch.scope(() => {
      const zeros = torch.zeros([9], { dtype: 'int64' });
      const one = (at: number, value: number) =>
        torch.where(torch.arange(9).eq(at), value, zeros).to({ device });
      const refused = (labels: Tensor, predictions: Tensor) =>
        expect(() => count(labels, predictions, 3).toArray());
      refused(one(4, 3), one(0, 0)).toThrow(/the labels hold 3, expected 0 to 2, or 255/);
      refused(one(4, -1), one(0, 0)).toThrow(/the labels hold -1/);
      refused(one(0, 0), one(8, 255)).toThrow(/the predictions hold 255/);
      expect(count(one(8, 255), one(8, 99), 3).toArray()).toEqual([
        [8, 0, 0],
        [0, 0, 0],
        [0, 0, 0],
      ]);
    });
  });

  it('names itself and what is wrong with its arguments', () => {
    torch.scope(() => {
      const labels = integers(3, [4, 5]);
      const refused = (...given: Parameters<typeof count>) => expect(() => count(...given));
      refused(labels, labels.t(), 3).toThrow(
        /confusion_matrix: predictions are \[5, 4\], expected/,
      );
      refused(labels, labels.to('float32'), 3).toThrow(/predictions are Float, expected integers/);
      refused(labels, labels, 0).toThrow(/0 classes/);
    });
  });
});
