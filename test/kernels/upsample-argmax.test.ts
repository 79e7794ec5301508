import { torch } from 'm3l';
import { describe, expect, it } from 'vitest';

type Tensor = torch.Tensor;

const devices = torch.cuda.isAvailable() ? ['cpu', 'cuda'] : ['cpu'];
if (devices.length === 1) console.log('upsample_argmax on CUDA: skipped, no GPU here');

const fused = (...given: unknown[]) =>
  torch.ops.m3l.upsample_argmax(...(given as [Tensor, number[]]));

const shapes: [low: number[], size: [number, number]][] = [
  [
    [2, 5, 7, 6],
    [25, 23],
  ],
  [
    [1, 2, 1, 1],
    [9, 70],
  ],
  [
    [3, 37, 33, 33],
    [130, 129],
  ],
  [
    [1, 3, 20, 40],
    [20, 40],
  ],
  [
    [1, 1, 50, 40],
    [20, 13],
  ],
  [
    [2, 4, 5, 5],
    [1, 1],
  ],
];

describe.each(devices)('upsample_argmax on %s', (device) => {
  it.each(shapes)('agrees with its composition: %s → %s', (low, size) => {
    torch.scope(() => {
      const logits = torch.randn(low, { dtype: 'float64' }).mul(3).to({ device });
      const full = torch.upsampleBilinear2d(logits, size, true);
      const labels = full.argmax(1);
      expect(fused(logits, size).toArray()).toEqual(labels.toArray());

      const valid = torch
        .rand([low[0]!, ...size])
        .gt(0.3)
        .to({ device });
      const padded = labels.maskedFill(valid.logicalNot(), 255);
      expect(fused(logits, size, null, valid).toArray()).toEqual(padded.toArray());

      const unsure = full.softmax(1).amax([1]).lt(0.8);
      const confident = padded.maskedFill(unsure, 7).maskedFill(valid.logicalNot(), 7);
      expect(fused(logits, size, 0.8, valid, 7).toArray()).toEqual(confident.toArray());
    });
  });

  it.each(['float32', 'bfloat16', 'float16'] as const)('labels %s logits', (dtype) => {
    torch.scope(() => {
      const logits = torch.randn([2, 13, 17, 16]).to({ dtype, device });
      const full = torch.upsampleBilinear2d(logits.to('float32'), [66, 64], true);
      const different = fused(logits, [66, 64]).ne(full.argmax(1)).sum().item();
      // Logits equal up to rounding may fall either way.
      expect(different).toBeLessThanOrEqual(1);
    });
  });

  it('takes the first of equals, and a NaN above all', () => {
    torch.scope(() => {
      const pixel = (values: number[]) =>
        fused(torch.tensor(values, { shape: [1, values.length, 1, 1], device }), [3, 2]).toArray();
      const everywhere = (label: number) => [new Array(3).fill([label, label])];
      expect(pixel([1, 5, 5, 2])).toEqual(everywhere(1));
      expect(pixel([1, Number.NaN, 5, Number.NaN])).toEqual(everywhere(1));
      expect(pixel([Number.NaN, 1])).toEqual(everywhere(0));
    });
  });

  it('names itself and what is wrong with its arguments', () => {
    torch.scope(() => {
      const logits = torch.randn([2, 3, 4, 4], { device });
      const refused = (...given: unknown[]) => expect(() => fused(...given));
      refused(logits.select(0, 0), [8, 8]).toThrow(/upsample_argmax: logits are \[3, 4, 4\]/);
      refused(logits.to('int64'), [8, 8]).toThrow(/Long, expected a floating type/);
      refused(logits, [8, 0]).toThrow(/size is \[8, 0\]/);
      const valid = torch.ones([2, 8, 7], { dtype: 'bool', device });
      refused(logits, [8, 8], null, valid).toThrow(/valid is \[2, 8, 7\], expected \[2, 8, 8\]/);
      refused(logits, [8, 7], null, valid.to('int64')).toThrow(/Long, expected bool/);
    });
  });
});
