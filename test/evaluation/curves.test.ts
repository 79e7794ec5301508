import { torch } from 'm3l';
import type { Batch, ModalitySpec } from 'm3l/data';
import { corruptions, curvesPicture, evaluateCurves, evaluateRobust } from 'm3l/evaluation';
import { createModel } from 'm3l/models';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';

const specs: ModalitySpec[] = [
  { name: 'rgb', kind: 'rgb' },
  { name: 'depth', kind: 'depth', mean: 0.4, std: 0.2 },
];

const SIZE = [40, 48] as const;

function batch(): Batch {
  return torch.detached(() => {
    const generator = new torch.Generator().manualSeed(3);
    const shape = [2, 3, ...SIZE];
    return {
      names: ['one', 'two'],
      modalities: [torch.randn(shape, { generator }), torch.randn(shape, { generator })],
      labels: torch.randint(0, 3, [2, ...SIZE], { dtype: 'int64', generator }),
      valid: null,
    };
  });
}

/** Values in [0, 1], the same in every pixel, as inputs. */
const flat = (rgb: number, depth: number) => {
  const full = (value: number) => torch.full([1, 3, ...SIZE], value);
  const centre = torch.tensor([0.485, 0.456, 0.406]).reshape([1, 3, 1, 1]);
  const width = torch.tensor([0.229, 0.224, 0.225]).reshape([1, 3, 1, 1]);
  return [full(rgb).sub(centre).div(width), full(depth).sub(0.4).div(0.2)];
};

/** What a corruption makes of inputs, back in [0, 1]: the first channel of red and of depth. */
function spoil(name: string, inputs: torch.Tensor[], severity: number): torch.Tensor[] {
  const corruption = corruptions.find((each) => each.name === name)!;
  const [target] = corruption.targets(specs);
  const generator = new torch.Generator().manualSeed(1);
  const { inputs: found } = corruption.apply(inputs, severity, {
    specs,
    target: target!,
    generator,
  });
  return [found[0]!.select(1, 0).mul(0.229).add(0.485), found[1]!.select(1, 0).mul(0.2).add(0.4)];
}

describe('what spoils inputs', () => {
  it('01 holes cover the share that severity says, each level’s within the next', () => {
    torch.scope(() => {
      const holes = [0.2, 0.6, 1].map((severity) =>
        spoil('depth-holes', flat(0.5, 0.9), severity)[1]!.lt(1e-5),
      );
      const shares = holes.map((mask) => mask.to('float32').mean().item());
      expect(shares).toEqual([0.2, 0.6, 1].map((share) => expect.closeTo(share, 2)));
      expect(holes[0]!.logicalAnd(holes[1]!.logicalNot()).any().item()).toBe(0);
    });
  });

  it('02 darkness takes light away and fog adds it, more of it to what is far', () => {
    torch.scope(() => {
      const [dark] = spoil('darkness', flat(0.8, 0.5), 1);
      expect(dark!.mean().item()).toBeCloseTo(0.05, 1);
      const seen = (depth: number) => spoil('fog', flat(0.2, depth), 1)[0]!.mean().item();
      expect(seen(0)).toBeCloseTo(0.2, 4);
      expect(seen(0.5)).toBeGreaterThan(seen(0.1));
      expect(seen(1)).toBeCloseTo(0.85, 1);
      expect(spoil('fog', flat(0.2, 0.5), 1)[1]!.mean().item()).toBeCloseTo(0.5, 4);
    });
  });

  it('03 misalignment moves all but the first to the right, noise stays within the range', () => {
    torch.scope(() => {
      const inputs = flat(0.5, 0.5);
      torch.scope(() => void inputs[1]!.select(3, 20).fill_(3)); // 1 in [0, 1]
      const [rgb, depth] = spoil('misalignment', inputs, 1);
      expect(rgb!.sub(0.5).abs().max().item()).toBeLessThan(1e-5);
      expect(depth!.argmax(2).flatten().toArray()).toEqual(Array(SIZE[0]).fill(25));
      const noisy = spoil('depth-noise', flat(0.5, 0.95), 1)[1]!;
      expect(noisy.max().item()).toBeCloseTo(1, 5);
      expect(noisy.std().item()).toBeGreaterThan(0.05);
    });
  });
});

describe('curves', () => {
  const model = (maskToken = true) => {
    torch.manualSeed(5);
    return createModel({ name: 'linear-fusion', backbone: 'mit-b0', numClasses: 3, maskToken });
  };

  it('04 start at what an evaluation finds; with all tokens masked a modality is missing', async () => {
    using network = model();
    const { images, curves } = await evaluateCurves({
      model: network,
      specs,
      batches: [batch()],
      levels: 2,
    });
    expect(images).toBe(2);
    expect(curves.map(({ corruption, modalities }) => `${corruption} ${modalities}`)).toEqual([
      'masked-tokens rgb',
      'masked-tokens depth',
      'depth-noise depth',
      'depth-holes depth',
      'misalignment depth',
      'darkness rgb',
      'fog rgb',
    ]);
    const wanted = await evaluateRobust({ models: { network }, specs, batches: [batch()] });
    const [all, noRgb, noDepth] = wanted.models[0]!.heads.at(-1)!.cases;
    for (const { points } of curves) {
      expect(points.map(({ severity }) => severity)).toEqual([0, 0.5, 1]);
      expect(points[0]!.meanIoU).toBe(all!.meanIoU);
    }
    expect(curves[0]!.points[2]!.meanIoU).toBeCloseTo(noRgb!.meanIoU, 6);
    expect(curves[1]!.points[2]!.meanIoU).toBeCloseTo(noDepth!.meanIoU, 6);
    const { format, width, height } = await sharp(await curvesPicture(curves)).metadata();
    expect([format, width! > 460, height! > 400]).toEqual(['png', true, true]);
  });

  it('05 refuse what is unknown, or has nothing to spoil', async () => {
    using network = model(false);
    const ask = (kinds?: string[]) =>
      evaluateCurves({ model: network, specs, batches: [], ...(kinds ? { kinds } : {}) });
    await expect(ask(['rain'])).rejects.toThrow(
      /found the corruption 'rain', expected masked-tokens/,
    );
    await expect(ask(['masked-tokens'])).rejects.toThrow(/has no mask token. Leave it out/);
    await expect(ask()).rejects.toMatchObject({ code: 'M3L_NOTHING_TO_EVALUATE' });
  });
});
