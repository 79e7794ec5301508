import { torch } from 'm3l';
import type { ModalitySpec } from 'm3l/data';
import { predictClasses, predictMissing } from 'm3l/evaluation';
import { optimizeForInference } from 'm3l/inference';
import { createModel, type ForwardOptions, type Head, type Predictor } from 'm3l/models';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const specs: ModalitySpec[] = [
  { name: 'rgb', kind: 'rgb' },
  { name: 'depth', kind: 'depth' },
];

/** Says of each pixel what stands there: its logits are the first modality's values, at full size. */
class Echo implements Predictor {
  readonly modalities = 2;
  readonly numClasses = 3;
  readonly hasMaskToken = true;
  readonly leastSide = 8;
  readonly seen: string[] = [];

  forward(): never {
    throw new Error('not asked for');
  }

  forwardHeads(
    inputs: readonly (torch.Tensor | null)[],
    heads: readonly Head[],
    { upsample = true }: ForwardOptions = {},
  ): torch.Tensor[] {
    const [, , height, width] = inputs[0]!.shape;
    this.seen.push(`${height}x${width}${inputs[1] ? '' : ' alone'}${upsample ? '' : ' small'}`);
    return heads.map(() => inputs[0]!.clone());
  }
}

const picture = (height: number, width: number) =>
  torch.arange(height * width * 3, { dtype: 'float32' }).reshape([1, 3, height, width]);

describe('what a prediction is averaged over', () => {
  it('01 a window says of its part what the whole says, once where windows overlap', () => {
    torch.scope(() => {
      const model = new Echo();
      const inputs = [picture(20, 33), null];
      const window = [8, 16] as const;
      const { ensemble } = predictMissing(model, inputs, { specs, window });
      expect(ensemble).toBeCloseToTensor(inputs[0]!);
      // Half of each window's side at least is the next one's too.
      expect(model.seen).toHaveLength(4 * 4);
      expect(new Set(model.seen)).toEqual(new Set(['8x16 alone']));
      const few = new Echo();
      predictMissing(few, inputs, { specs, window: [10, 16], windowOverlap: 0 });
      expect(few.seen).toHaveLength(2 * 3);
    });
  });

  it('02 windows larger than the image are the image', () => {
    torch.scope(() => {
      const model = new Echo();
      predictMissing(model, [picture(9, 12), picture(9, 12)], { specs, window: [9, 64] });
      expect(model.seen).toEqual(['9x12']);
    });
  });

  it('03 scales see the image smaller and larger, and come to the size asked for', () => {
    torch.scope(() => {
      const model = new Echo();
      const flat = torch.full([1, 3, 16, 24], 2);
      const { ensemble } = predictMissing(model, [flat, flat], { specs, scales: [0.25, 1, 1.5] });
      expect(model.seen).toEqual(['24x36 small', '16x24 small', '8x8 small']);
      expect(ensemble.shape).toEqual([1, 3, 16, 24]);
      expect(ensemble).toBeCloseToTensor(flat);
    });
  });

  it('04 mirrors, scales and windows go together', () => {
    torch.scope(() => {
      const views = { specs, flip: true, scales: [1, 2], window: [16, 16] as const };
      const model = new Echo();
      const [classes] = predictClasses(model, [picture(16, 16), picture(16, 16)], {
        ...views,
        size: [16, 16],
        heads: ['ensemble'],
      });
      expect(classes!.shape).toEqual([1, 16, 16]);
      expect(model.seen.filter((size) => size.startsWith('16x16'))).toHaveLength(2 * 9 + 2);
    });
  });
});

describe('views of a model', () => {
  let model: ReturnType<typeof createModel>;
  beforeAll(() => {
    model = createModel({ name: 'linear-fusion', backbone: 'mit-b0', numClasses: 3 });
    model.eval();
  });
  afterAll(() => model.dispose());

  it('05 a scale is what the model says of the resized image; its view for inference agrees', () => {
    torch.scope(() => {
      torch.noGrad(() => {
        const inputs = [torch.randn([1, 3, 32, 48]), torch.randn([1, 3, 32, 48])];
        const doubled = [
          torch.upsampleBilinear2d(inputs[0]!, [64, 96], false),
          torch.upsampleNearest2d(inputs[1]!, [64, 96]),
        ];
        const wanted = model.forwardHeads(doubled, ['ensemble'], { upsample: false })[0]!;
        const options = { specs, scales: [2], upsample: false };
        expect(predictMissing(model, inputs, options).ensemble).toBeCloseToTensor(wanted);
        using view = optimizeForInference(model, { measure: false });
        for (const views of [{ scales: [1, 2] }, { window: [32, 32] as const }]) {
          const [one, other] = [model, view].map(
            (each) => predictMissing(each, inputs, { specs, missing: [1], ...views }).ensemble,
          );
          expect(one).toBeCloseToTensor(other!, { atol: 1e-4 });
        }
      });
    });
  });
});
