import { nn, torch } from 'm3l';
import { optimizeForInference } from 'm3l/inference';
import {
  checkInputs,
  createModel,
  type ForwardOptions,
  type Head,
  type Prediction,
  type SegmentationModel,
} from 'm3l/models';
import { beforeEach, describe, expect, it } from 'vitest';
import { shared } from '../helpers/shared.js';

beforeEach(() => torch.manualSeed(0));

/** Largest difference, relative to the largest expected value. */
function error(found: torch.Tensor, expected: torch.Tensor): number {
  expect(found.shape).toEqual(expected.shape);
  return found.sub(expected).abs().max().div(expected.abs().max()).item();
}

/** A model in evaluation mode with no bias at zero and no norm at the identity. */
function createTrained(options: object): SegmentationModel {
  const model = createModel({
    name: 'linear-fusion',
    backbone: 'mit-b0',
    numClasses: 5,
    ...options,
  });
  const state = Object.values(model.stateDict()).filter(({ ndim }) => ndim === 1);
  for (const tensor of state) tensor.add_(torch.rand([...tensor.shape]).mul(0.3));
  return model.eval();
}

function scoped(options: object, test: (model: SegmentationModel) => void): void {
  torch.scope(() => {
    using model = createTrained(options);
    torch.noGrad(() => test(model));
  });
}

/** A model of other parts than the packed view knows. */
class ConvolutionalModel extends nn.Module implements SegmentationModel {
  readonly modalities = 1;
  readonly numClasses = 4;
  readonly hasMaskToken = false;
  readonly leastSide = 1;
  precision: torch.AutocastDType = 'float32';
  readonly dropout = new nn.Dropout2d(0.5);
  readonly head = new nn.Conv2d(3, 4, 1);

  override forward(inputs: readonly (torch.Tensor | null)[], options?: ForwardOptions): Prediction {
    const [logits] = this.forwardHeads(inputs, [0], options);
    return { heads: [logits!], ensemble: logits! };
  }

  forwardHeads(
    inputs: readonly (torch.Tensor | null)[],
    heads: readonly Head[],
    options: ForwardOptions = {},
  ): torch.Tensor[] {
    checkInputs(inputs, 1, options, this);
    const logits = this.head.forward(this.dropout.forward(inputs[0]!));
    return heads.map(() => logits);
  }
}

const images = (count: number, [batch, ...size]: readonly number[]) =>
  Array.from({ length: count }, () => torch.randn([batch!, 3, ...size]));

const all = ({ heads, ensemble }: Prediction) => [...heads, ensemble];

describe('optimizeForInference', () => {
  it.each([
    ['linear fusion', { backbone: 'mit-b0' }, [1, 70, 93]],
    ['linear fusion', { backbone: 'mit-b0' }, [3, 61, 64]],
    ['linear fusion', { backbone: 'mit-b2' }, [1, 64, 96]],
    ['three modalities', { modalities: 3, fusionRatio: 0.6 }, [2, 33, 50]],
    ['no mask token', { maskToken: false, freezeBatchNorm: false }, [1, 64, 64]],
    ['segformer', { name: 'segformer', modalities: 1 }, [3, 70, 93]],
    ['segformer', { name: 'segformer', modalities: 1, backbone: 'mit-b1' }, [1, 64, 64]],
  ] as const)('gives the numbers of %s %o at %s', (_, options, size) => {
    scoped(options, (model) => {
      using view = optimizeForInference(model);
      const inputs = images(model.modalities, size);
      const missing = model.hasMaskToken
        ? inputs.map((_, lost) => inputs.map((input, m) => (m === lost ? null : input)))
        : [];
      for (const given of [inputs, ...missing]) {
        const expected = all(model.forward(given));
        // Often enough that both ways of each product are tried and one is chosen.
        for (let call = 0; call < 8; call++) {
          for (const [head, found] of all(view.forward(given)).entries()) {
            expect(error(found, expected[head]!)).toBeLessThan(1e-5);
          }
        }
        const small = all(view.forward(given, { upsample: false }));
        for (const [head, logits] of all(model.forward(given, { upsample: false })).entries()) {
          expect(error(small[head]!, logits)).toBeLessThan(1e-5);
        }
      }
    });
  });

  it('computes the same to the last bit where nothing is measured', () => {
    scoped({}, (model) => {
      const inputs = images(2, [1, 64, 64]);
      const [first, second] = [1, 2].map(() => {
        using view = optimizeForInference(model, { measure: false });
        const found = view.forward(inputs).ensemble;
        expect(view.forward(inputs).ensemble.equal(found)).toBe(true);
        return found;
      });
      expect(first!.equal(second!)).toBe(true);
      expect(error(first!, model.forward(inputs).ensemble)).toBeLessThan(1e-5);
    });
  });

  it('keeps to the samples that are masked, and reads nothing of them', () => {
    scoped({}, (model) => {
      using view = optimizeForInference(model);
      const inputs = images(2, [3, 64, 64]);
      const masked = [1, -1, 0];
      const expected = model.forward(inputs, { masked });
      inputs[1]!.select(0, 0).fill_(Number.NaN);
      const found = view.forward(inputs, { masked });
      for (const [head, logits] of all(found).entries()) {
        expect(error(logits, all(expected)[head]!)).toBeLessThan(1e-5);
      }
    });
  });

  it('leaves the model as it was: state, gradients, training', () => {
    torch.scope(() => {
      using model = createTrained({});
      const before = Object.entries(model.stateDict()).map(
        ([name, tensor]) => [name, tensor.clone()] as const,
      );
      const inputs = images(2, [1, 32, 32]);
      const live = torch.memory().tensors;
      using view = optimizeForInference(model);
      torch.scope(() => {
        expect(view.forward(inputs).ensemble.requiresGrad).toBe(false);
        view.forward([null, inputs[1]!]);
      });
      expect(model.training).toBe(false);
      view.dispose();
      expect(torch.memory().tensors).toBe(live);
      expect(Object.keys(model.stateDict())).toEqual(before.map(([name]) => name));
      for (const [name, value] of before) {
        expect(model.stateDict()[name]!.equal(value), name).toBe(true);
      }
      model.train();
      torch.scope(() => {
        model.forward(inputs).heads[0]!.sum().backward();
        expect(model.parameters().some(({ grad }) => grad !== null)).toBe(true);
        model.zeroGrad();
      });
    });
  });

  it('is a plain view of any other model, whose modes it leaves as they are', () => {
    torch.scope(() => {
      using model = new ConvolutionalModel();
      model.head.eval();
      const inputs = images(1, [2, 32, 32]);
      using view = optimizeForInference(model);
      const found = view.forward(inputs);
      expect([model.training, model.dropout.training, model.head.training]).toEqual([
        true,
        true,
        false,
      ]);
      const [own, ensemble] = view.forwardHeads(inputs, [0, 'ensemble'], { upsample: false });
      expect(() => view.forward([null])).toThrow(/Every modality is missing/);
      expect(model.dropout.training).toBe(true);

      const expected = model.eval().forward(inputs).ensemble;
      expect(found.heads.length).toBe(1);
      for (const logits of [...all(found), own!, ensemble!]) {
        expect(logits.requiresGrad).toBe(false);
        expect(logits.equal(expected)).toBe(true);
      }
    });
  });

  it('refuses what the model refuses', () => {
    scoped({ maskToken: false }, (model) => {
      using view = optimizeForInference(model);
      const inputs = images(2, [1, 32, 32]);
      expect(() => view.forward([inputs[0]!, null])).toThrow(/`fill`/);
      expect(() => view.forward([inputs[0]!])).toThrow(/1 inputs, expected 2/);
    });
  });

  const golden = shared('golden/linear-fusion-b0.safetensors');
  it.skipIf(!golden).each(['full', 'masked'])('agrees with the authors’ %s predictions', (kind) => {
    torch.scope(() => {
      const { tensors, metadata } = torch.loadSafetensors(golden!);
      const shape = { backbone: 'mit-b0', numClasses: 5, ensemble: 'all' } as const;
      using model = createModel({ name: 'linear-fusion', ...shape });
      const state = Object.entries(tensors).filter(([name]) => name.startsWith('state.'));
      model.loadStateDict(Object.fromEntries(state.map(([name, t]) => [name.slice(6), t])));
      using view = optimizeForInference(model);
      const masked = kind === 'masked' ? (JSON.parse(metadata.masked_branches!) as number[]) : [];
      const inputs = [tensors['input.rgb']!, tensors['input.depth']!];
      const found = all(view.forward(inputs, { masked }));
      for (const [index, head] of ['rgb', 'depth', 'ensemble'].entries()) {
        expect(error(found[index]!, tensors[`${kind}.${head}`]!), head).toBeLessThan(1e-5);
      }
    });
  });
});

describe('forwardHeads', () => {
  it('gives what forward gives of the heads asked for, in their order', () => {
    scoped({ modalities: 3 }, (model) => {
      using view = optimizeForInference(model);
      const [a, b, c] = images(3, [2, 61, 64]) as [torch.Tensor, torch.Tensor, torch.Tensor];
      for (const given of [
        [a, b, c],
        [null, b, c],
        [null, b, null],
      ]) {
        const prediction = model.forward(given);
        const asked: Head[][] = [[0], [2], [1, 0], ['ensemble'], ['ensemble', 2]];
        for (const heads of asked) {
          for (const predictor of [model, view]) {
            const found = predictor.forwardHeads(given, heads);
            expect(found.length).toBe(heads.length);
            for (const [i, head] of heads.entries()) {
              const expected = head === 'ensemble' ? prediction.ensemble : prediction.heads[head]!;
              expect(error(found[i]!, expected)).toBeLessThan(1e-5);
            }
          }
        }
      }
    });
  });

  it('refuses heads that the model has not', () => {
    scoped({}, (model) => {
      const inputs = images(2, [1, 32, 32]);
      expect(() => model.forwardHeads(inputs, [2])).toThrow(/Head 2 is asked for, expected/);
      expect(() => model.forwardHeads(inputs, [])).toThrow(/No head is asked for/);
    });
    scoped({ name: 'segformer', modalities: 1 }, (model) => {
      const inputs = images(1, [1, 32, 32]);
      const [own, ensemble] = model.forwardHeads(inputs, [0, 'ensemble']);
      expect(own!.equal(ensemble!)).toBe(true);
      expect(() => model.forwardHeads(inputs, [1])).toThrow(/Head 1 is asked for/);
    });
  });
});
