import { torch } from 'm3l';
import { drawBoxes, jitterColours, mixBoxes } from 'm3l/learning';
import { describe, expect, it } from 'vitest';

const options = { cutMix: 0.5, seed: 4 };

describe('boxes of CutMix', () => {
  it('are the same for the same seed and iteration, and half of them empty', () => {
    const boxes = drawBoxes(options, 7, 400);
    expect(boxes).toEqual(drawBoxes(options, 7, 400));
    expect(boxes).not.toEqual(drawBoxes(options, 8, 400));
    let empty = 0;
    for (let i = 0; i < boxes.length; i += 4) {
      const [top, left, bottom, right] = boxes.slice(i, i + 4) as [number, number, number, number];
      const area = (bottom - top) * (right - left);
      if (area === 0) empty += 1;
      else {
        expect(area).toBeGreaterThan(0.019);
        expect(area).toBeLessThan(0.401);
      }
      expect(Math.min(top, left)).toBeGreaterThanOrEqual(0);
      expect(Math.max(bottom, right)).toBeLessThanOrEqual(1 + 1e-12);
    }
    expect(empty).toBeGreaterThan(150);
    expect(empty).toBeLessThan(250);
  });

  it('are none of one image, or where none are wanted', () => {
    expect(drawBoxes(options, 0, 1)).toEqual([]);
    expect(drawBoxes({ ...options, cutMix: 0 }, 0, 8)).toEqual([]);
  });

  it('bring images and labels the same box of the image before', () =>
    torch.scope(() => {
      const labels = torch.arange(3).reshape([3, 1, 1]).expand([3, 4, 8]).contiguous();
      const images = labels.unsqueeze(1).expand([3, 3, 4, 8]).to('float32').mul(10);
      const boxes = [0, 0.5, 0.5, 1, 0, 0, 0, 0, 0.25, 0, 1, 0.25];
      const both = [boxes, torch.tensor(Float64Array.from(boxes))];
      for (const given of both) {
        const [mixed, mixedLabels] = mixBoxes([images, labels], given) as [
          torch.Tensor,
          torch.Tensor,
        ];
        expect(mixedLabels.select(0, 0).toArray()).toEqual([
          [0, 0, 0, 0, 2, 2, 2, 2],
          [0, 0, 0, 0, 2, 2, 2, 2],
          [0, 0, 0, 0, 0, 0, 0, 0],
          [0, 0, 0, 0, 0, 0, 0, 0],
        ]);
        expect(mixedLabels.select(0, 1).flatten().toArray()).toEqual(new Array(32).fill(1));
        expect(mixedLabels.select(0, 2).select(0, 1).toArray()).toEqual([1, 1, 2, 2, 2, 2, 2, 2]);
        const wanted = mixedLabels.unsqueeze(1).expand([3, 3, 4, 8]).to('float32').mul(10);
        expect(mixed.equal(wanted)).toBe(true);
      }
    }));
});

describe('other colours', () => {
  it('change pictures, each image by itself, and leave distances alone', () =>
    torch.scope(() => {
      torch.manualSeed(2);
      const specs = [
        { name: 'rgb', kind: 'rgb' },
        { name: 'depth', kind: 'depth' },
      ] as const;
      const same = torch.randn([1, 3, 4, 4]);
      const rgb = torch.cat([same, same]);
      const depth = torch.rand([2, 3, 4, 4]);
      const [picture, distance] = jitterColours([rgb, depth], specs, 0.5) as [
        torch.Tensor,
        torch.Tensor,
      ];
      expect(distance).toBe(depth);
      expect(picture.select(0, 0).equal(picture.select(0, 1))).toBe(false);
      // Affine: the grey of a pixel that is twice another's stays so above the brightness.
      const grey = rgb.mean([1]).select(0, 0).flatten().toArray() as number[];
      const now = picture.mean([1]).select(0, 0).flatten().toArray() as number[];
      const slope = (now[1]! - now[0]!) / (grey[1]! - grey[0]!);
      expect(slope).toBeGreaterThan(0.5);
      expect(slope).toBeLessThan(1.5);
      expect(now[2]! - now[0]!).toBeCloseTo(slope * (grey[2]! - grey[0]!), 4);
    }));
});
