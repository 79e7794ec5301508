import { torch } from 'm3l';
import { optimizeForInference } from 'm3l/inference';
import { createModel, type ForwardOptions, type SegmentationModel } from 'm3l/models';
import { beforeEach, describe, expect, it } from 'vitest';
import { gradcheck } from '../helpers/gradcheck.js';

type Tensor = torch.Tensor;

beforeEach(() => torch.manualSeed(0));

const BATCH = 3;
const ALPHA = [0.3, -0.5, 1.1];

function withModel(options: object, test: (model: SegmentationModel) => void): void {
  torch.scope(() => {
    using model = createModel({
      name: 'linear-fusion',
      backbone: 'mit-b0',
      numClasses: 4,
      modalities: 3,
      ...options,
    });
    const alpha = alphaOf(model);
    torch.noGrad(() => alpha.copy_(torch.tensor(ALPHA.slice(0, model.modalities))));
    test(model.eval());
  });
}

function alphaOf(model: SegmentationModel): Tensor {
  return new Map(model.namedParameters()).get('alpha')!;
}

const images = (count = 3) => Array.from({ length: count }, () => torch.randn([BATCH, 3, 32, 64]));
const int64 = (values: number[]) => torch.tensor(values, { dtype: 'int64' });

/**
 * Σ w_m · head_m in plain numbers, w the softmax of α over `voters[b]` of sample b.
 * @returns as the logits are laid out
 */
function plainEnsemble(heads: readonly Tensor[], voters: readonly (readonly number[])[]): number[] {
  const values = heads.map((logits) => Array.from(logits.contiguous().toTypedArray(), Number));
  const size = values[0]!.length / voters.length;
  return values[0]!.map((_, i) => {
    const voting = voters[Math.floor(i / size)]!;
    const total = voting.reduce((sum, m) => sum + Math.exp(ALPHA[m]!), 0);
    return voting.reduce((sum, m) => sum + (Math.exp(ALPHA[m]!) / total) * values[m]![i]!, 0);
  });
}

function expectVotes(
  model: SegmentationModel,
  inputs: readonly (Tensor | null)[],
  options: ForwardOptions,
  voters: readonly (readonly number[])[],
): void {
  torch.noGrad(() => {
    const ask = { ...options, upsample: false };
    using view = optimizeForInference(model, { measure: false });
    for (const predictor of [model, view]) {
      const seed = () =>
        options.maskingRatio === undefined
          ? ask
          : { ...ask, generator: new torch.Generator().manualSeed(7) };
      const { heads, ensemble } = predictor.forward(inputs, seed());
      const expected = plainEnsemble(heads, voters);
      const wanted = torch.tensor(expected, { dtype: 'float64', shape: [...ensemble.shape] });
      expect(ensemble.to('float64')).toBeCloseToTensor(wanted, { rtol: 1e-5, atol: 1e-6 });
      // Alone it is what it is beside the heads, though some of these are not computed then.
      const [alone] = predictor.forwardHeads(inputs, ['ensemble'], seed());
      expect(alone).toBeCloseToTensor(ensemble, { rtol: 1e-5, atol: 1e-5 });
    }
  });
}

const ALL = [0, 1, 2];

const SHARES = [
  [5, 3, 1, 1],
  [8, 0.5, 1, 0.5],
  [0.9, 0.06, 0.04, 0], // the last counts as 0.001
];

/** max(¼, 1 − Σ w²) · Σ w_m · log(K · π_m) in plain numbers. */
function plainKnown(weights: readonly number[], shares: readonly number[][]): number[] {
  const alone = weights.reduce((sum, w) => sum + w * w, 0);
  return shares[0]!.map((_, k) => {
    const logs = shares.map((of) => {
      const total = of.reduce((sum, share) => sum + share, 0);
      return Math.log(of.length * Math.max(of[k]! / total, 1e-3));
    });
    return Math.max(0.25, 1 - alone) * logs.reduce((sum, log, m) => sum + weights[m]! * log, 0);
  });
}

describe('the ensemble by evidence', () => {
  const sharesOf = (model: SegmentationModel) =>
    new Map(model.namedBuffers()).get('head_shares') as Tensor;

  it('takes off what the heads say anyhow, of those that vote', () => {
    withModel({}, (model) => {
      torch.noGrad(() => sharesOf(model).copy_(torch.tensor(SHARES).mul(1e4)));
      const inputs = images();
      const voters = [[0, 2], ALL, [1]];
      using view = optimizeForInference(model, { measure: false });
      for (const masked of [[1, -1, 0], int64([1, -1, 0])]) {
        for (const predictor of [model, view]) {
          const { heads, ensemble } = torch.noGrad(() =>
            predictor.forward(inputs, { masked, filled: [-1, -1, 2], upsample: false }),
          );
          const voted = plainEnsemble(heads, voters);
          const size = voted.length / BATCH / 4;
          const wanted = voted.map((value, i) => {
            const voting = voters[Math.floor(i / size / 4)]!;
            const exps = voting.map((m) => Math.exp(ALPHA[m]!));
            const total = exps.reduce((sum, each) => sum + each, 0);
            const known = plainKnown(
              exps.map((each) => each / total),
              voting.map((m) => SHARES[m]!),
            );
            return value - known[Math.floor(i / size) % 4]!;
          });
          const expected = torch.tensor(wanted, { dtype: 'float64', shape: [...ensemble.shape] });
          expect(ensemble.to('float64')).toBeCloseToTensor(expected, { rtol: 1e-5, atol: 1e-5 });
        }
      }
    });
  });

  it('remembers in training what each head says of the samples that have its modality', () => {
    withModel({ dropPath: 0, dropout: 0, modalities: 2 }, (model) => {
      const inputs = images(2);
      const forward = (masked: number[]) =>
        torch.noGrad(() => model.forward(inputs, { masked, upsample: false }).heads);
      forward([-1, -1, -1]);
      expect(sharesOf(model).countNonzero().item()).toBe(0); // evaluation mode
      model.train();
      const means = (heads: readonly Tensor[]) =>
        heads.map((logits) => logits.softmax(1).mean([2, 3])); // 2 × [B, K]
      const first = means(forward([-1, -1, -1]));
      const [rgb, depth] = means(forward([1, -1, 0])) as [Tensor, Tensor];
      const [firstRgb, firstDepth] = first.map((each) => each.mean([0])) as [Tensor, Tensor];
      const moved = (before: Tensor, said: Tensor) =>
        before
          .mul(0.01)
          .mul(1 - 0.01 * (2 / 3))
          .add(said.sum([0]).div(BATCH).mul(0.01));
      const wanted = torch.stack([
        moved(firstRgb, torch.stack([rgb.select(0, 0), rgb.select(0, 1)])),
        moved(firstDepth, torch.stack([depth.select(0, 1), depth.select(0, 2)])),
      ]);
      expect(sharesOf(model)).toBeCloseToTensor(wanted, { rtol: 1e-5, atol: 1e-8 });
      forward([0, 0, 0]);
      const { heads } = model.eval().forward(inputs, { masked: [0, 0, 0], upsample: false });
      const alone = wanted
        .select(0, 1)
        .mul(0.99)
        .add(means(heads)[1]!.mean([0]).mul(0.01));
      expect(sharesOf(model).select(0, 1)).toBeCloseToTensor(alone, { rtol: 1e-4, atol: 1e-8 });
      expect(sharesOf(model).select(0, 0)).toBeCloseToTensor(wanted.select(0, 0), { rtol: 1e-6 });
    });
  });

  it('takes weights that hold no shares, as they then speak, and gives its own to models without', () => {
    withModel({}, (model) => {
      torch.noGrad(() => sharesOf(model).copy_(torch.tensor(SHARES)));
      withModel({ ensemble: 'present' }, (plain) => {
        plain.loadStateDict(model.stateDict());
        expect(plain.namedBuffers().some(([name]) => name === 'head_shares')).toBe(false);
        const inputs = images();
        const said = () => model.forward(inputs).ensemble;
        expect(said().equal(plain.forward(inputs).ensemble)).toBe(false);
        model.loadStateDict(plain.stateDict());
        expect(said().equal(plain.forward(inputs).ensemble)).toBe(true);
      });
    });
  });
});

describe('the ensemble of those that are there', () => {
  it.each([
    ['nothing is missing', { masked: [-1, -1, -1] }, [ALL, ALL, ALL]],
    ['samples are masked', { masked: [1, -1, 0] }, [[0, 2], ALL, [1, 2]]],
    [
      'every sample lacks the same',
      { masked: [1, 1, 1] },
      [
        [0, 2],
        [0, 2],
        [0, 2],
      ],
    ],
    [
      'the part of a modality is masked',
      { masked: [1, -1, 0], maskingRatio: 0.5 },
      [ALL, ALL, ALL],
    ],
    ['inputs are filled', { filled: [2, -1, 0] }, [[0, 1], ALL, [1, 2]]],
    ['two modalities are filled', { filled: new Set([0, 2]) }, [[1], [1], [1]]],
    ['one is masked, one filled', { masked: [1, -1, 0], filled: [2, 2, 2] }, [[0], [0, 1], [1]]],
  ] as const)('%s', (_, options, voters) => {
    withModel({}, (model) => {
      const inputs = images();
      expectVotes(model, inputs, options, voters);
      const onDevice = Object.entries(options).map(([key, value]) =>
        Array.isArray(value) ? [key, int64(value)] : [key, value],
      );
      expectVotes(model, inputs, Object.fromEntries(onDevice), voters);
    });
  });

  it.each([
    ['a masked sample beside a missing input', [0, -1, -1], [[1], [0, 1], [0, 1]]],
    [
      'no masked sample',
      [-1, -1, -1],
      [
        [0, 1],
        [0, 1],
        [0, 1],
      ],
    ],
    [
      'samples masked where the input is missing',
      [2, 2, -1],
      [
        [0, 1],
        [0, 1],
        [0, 1],
      ],
    ],
  ] as const)('%s', (_, masked, voters) => {
    withModel({}, (model) => {
      const [a, b] = images() as [Tensor, Tensor];
      expectVotes(model, [a, b, null], { masked }, voters);
      expectVotes(model, [a, b, null], { masked: int64([...masked]) }, voters);
    });
  });

  it('is the only head left where two of three inputs are missing', () => {
    withModel({}, (model) => {
      const [a] = images() as [Tensor];
      expectVotes(model, [null, a, null], {}, [[1], [1], [1]]);
      const { heads, ensemble } = model.forward([null, a, null], { upsample: false });
      expect(ensemble.equal(heads[1]!)).toBe(true);
    });
  });

  it('is finite for a sample that has nothing', () => {
    withModel({ modalities: 2 }, (model) => {
      const [a] = images() as [Tensor];
      for (const masked of [[0, -1, -1], int64([0, -1, -1]), [0, 0, 0], int64([0, 0, 0])]) {
        const { ensemble } = model.forward([a, null], { masked });
        expect(ensemble.isfinite().all().item()).toBe(1);
      }
    });
  });

  it('counts fills in a model without a mask token, whose own inputs still count', () => {
    withModel({ maskToken: false }, (model) => {
      expectVotes(model, images(), { filled: new Set([1]) }, [
        [0, 2],
        [0, 2],
        [0, 2],
      ]);
      expectVotes(model, images(), { filled: [1, -1, 2] }, [[0, 2], ALL, [0, 1]]);
    });
  });

  it('weighs all alike where the paper’s is asked for', () => {
    withModel({ ensemble: 'all' }, (model) => {
      const [a, b, c] = images() as [Tensor, Tensor, Tensor];
      expectVotes(model, [a, b, null], { masked: [0, -1, -1] }, [ALL, ALL, ALL]);
      expectVotes(model, [a, b, c], { filled: new Set([1]) }, [ALL, ALL, ALL]);
    });
  });

  it('is to the bit the paper’s where nothing is missing', () => {
    withModel({}, (present) => {
      withModel({ ensemble: 'all' }, (every) => {
        every.loadStateDict(present.stateDict());
        const inputs = images();
        for (const masked of [[], [-1, -1, -1]]) {
          const { ensemble } = present.forward(inputs, { masked });
          expect(ensemble.equal(every.forward(inputs, { masked }).ensemble)).toBe(true);
        }
      });
    });
  });

  it('differentiates to α alone, as finite differences say', () => {
    withModel({ ensemble: 'present' }, (model) => {
      model.to({ dtype: 'float64' });
      const inputs = images().map((input) => input.to('float64'));
      const alpha = alphaOf(model);
      for (const masked of [[1, -1, 0], int64([1, -1, 0]), [1, 1, 1]]) {
        const vote = () => model.forward(inputs, { masked, upsample: false }).ensemble;
        gradcheck(vote, [alpha]);
        const others = model.parameters().filter((parameter) => parameter !== alpha);
        const gradients = torch.grad(vote().sum(), [alpha, ...others], { allowUnused: true });
        expect(gradients.slice(1).every((gradient) => gradient === null)).toBe(true);
      }
      // Nobody has modality 1, so nothing is learned of its weight.
      const { ensemble } = model.forward(inputs, { masked: [1, 1, 1], upsample: false });
      const [gradient] = torch.grad(ensemble.square().sum(), [alpha]);
      expect(gradient!.toArray()).toEqual([expect.any(Number), 0, expect.any(Number)]);
      expect(gradient!.abs().max().item()).toBeGreaterThan(0);
    });
  });

  it('refuses fills that the batch or the model has not', () => {
    withModel({}, (model) => {
      const inputs = images();
      const forward = (filled: ForwardOptions['filled']) => () => model.forward(inputs, { filled });
      expect(forward([1])).toThrow(/`filled` has 1 entries for a batch of 3/);
      expect(forward([1, 3, -1])).toThrow(
        /`filled` holds 3, expected -1 or a modality from 0 to 2/,
      );
      expect(forward(new Set([-1]))).toThrow(/`filled` holds -1, expected a modality from 0 to 2/);
    });
  });
});
