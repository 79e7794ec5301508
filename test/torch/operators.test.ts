import { torch } from 'm3l';
import { describe, expect, it } from 'vitest';

const f64 = (values: torch.NestedValues) => torch.tensor(values, { dtype: 'float64' });
const tight = { rtol: 1e-12, atol: 1e-14 };

/** One check: a result, and what it must be. */
type Check = [name: string, result: () => torch.Tensor, expected: () => torch.NestedNumbers];

const values = [-2, -0.5, 0.25, 1.5];
const map = (fn: (value: number) => number) => () => values.map(fn);
const x = () => f64(values);
const positive = () => f64([0.25, 1, 2, 9]);
const erf = (value: number) => {
  // Maclaurin series, exact to double precision for |value| <= 2.
  let [sum, term] = [0, value];
  for (let n = 0; Math.abs(term) > 1e-18; n++) {
    sum += term / (2 * n + 1);
    term *= (-value * value) / (n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
};
const sigmoid = (value: number) => 1 / (1 + Math.exp(-value));
const normaliser = values.reduce((sum, value) => sum + Math.exp(value), 0);

const checks: Check[] = [
  ['exp', () => x().exp(), map(Math.exp)],
  ['log', () => positive().log(), () => [0.25, 1, 2, 9].map(Math.log)],
  ['sqrt', () => positive().sqrt(), () => [0.5, 1, Math.SQRT2, 3]],
  ['rsqrt', () => positive().rsqrt(), () => [2, 1, Math.SQRT1_2, 1 / 3]],
  ['sin² + cos²', () => x().sin().square().add(x().cos().square()), () => [1, 1, 1, 1]],
  ['tanh', () => x().tanh(), map(Math.tanh)],
  ['sigmoid', () => x().sigmoid(), map(sigmoid)],
  ['relu', () => x().relu(), () => [0, 0, 0.25, 1.5]],
  ['gelu', () => x().gelu(), map((v) => (v / 2) * (1 + erf(v / Math.SQRT2)))],
  ['silu', () => x().silu(), map((v) => v * sigmoid(v))],
  ['erf', () => x().erf(), map(erf)],
  ['softmax', () => x().softmax(0), map((v) => Math.exp(v) / normaliser)],
  ['logSoftmax', () => x().logSoftmax(0), map((v) => v - Math.log(normaliser))],
  ['logsumexp', () => x().logsumexp(0), () => Math.log(normaliser)],
  ['cumsum', () => x().cumsum(0), () => [-2, -2.5, -2.25, -0.75]],
  ['mean', () => x().mean(), () => -0.1875],
  ['norm', () => f64([3, 4]).norm(), () => 5],
  ['lerp', () => f64([0, 10]).lerp(f64([10, 20]), 0.25), () => [2.5, 12.5]],
  ['addcmul', () => f64([1]).addcmul(f64([2]), f64([3]), { value: 0.5 }), () => [4]],
  ['addcdiv', () => f64([1]).addcdiv(f64([3]), f64([2]), { value: 2 }), () => [4]],
  ['floor', () => x().floor(), () => [-2, -1, 0, 1]],
  [
    'matmul',
    () =>
      f64([
        [1, 2],
        [3, 4],
      ]).matmul(
        f64([
          [5, 6],
          [7, 8],
        ]),
      ),
    () => [
      [19, 22],
      [43, 50],
    ],
  ],
  [
    'linear',
    () =>
      torch.linear(
        f64([[1, 2]]),
        f64([
          [3, 4],
          [5, 6],
        ]),
        f64([10, 20]),
      ),
    () => [[21, 37]],
  ],
  [
    'A·A⁻¹',
    () =>
      f64([
        [4, 7],
        [2, 6],
      ]).matmul(
        f64([
          [4, 7],
          [2, 6],
        ]).inverse(),
      ),
    () => [
      [1, 0],
      [0, 1],
    ],
  ],
  [
    'det',
    () =>
      f64([
        [4, 7],
        [2, 6],
      ]).det(),
    () => 10,
  ],
  [
    'einsum',
    () =>
      torch.einsum('ij,j->i', [
        f64([
          [1, 2],
          [3, 4],
        ]),
        f64([1, 10]),
      ]),
    () => [21, 43],
  ],
  [
    'outer',
    () => f64([1, 2]).outer(f64([3, 4])),
    () => [
      [3, 4],
      [6, 8],
    ],
  ],
  [
    'gather',
    () =>
      f64([
        [1, 2],
        [3, 4],
      ]).gather(1, torch.tensor([[1n], [0n]])),
    () => [[2], [3]],
  ],
  ['sort', () => x().sort(0, true)[1], () => [3, 2, 1, 0]],
  ['topk', () => x().topk(2)[0], () => [1.5, 0.25]],
  ['kthvalue', () => x().kthvalue(2)[0], () => -0.5],
  ['quantile', () => x().quantile(0.5), () => -0.125],
  ['bincount', () => torch.bincount(torch.tensor([0n, 2n, 2n])), () => [1, 0, 2]],
  [
    'embedding',
    () =>
      torch.embedding(
        f64([
          [1, 2],
          [3, 4],
        ]),
        torch.tensor([1n, 1n]),
      ),
    () => [
      [3, 4],
      [3, 4],
    ],
  ],
  [
    'oneHot',
    () => torch.oneHot(torch.tensor([1n, 0n]), 3),
    () => [
      [0, 1, 0],
      [1, 0, 0],
    ],
  ],
  [
    'layerNorm',
    () => torch.layerNorm(f64([[1, 3]]), [2], f64([2, 2]), f64([1, 0]), 0),
    () => [[-1, 2]],
  ],
  [
    'batchNorm (evaluation)',
    () =>
      torch.batchNorm(f64([[[[5]]]]), f64([2]), f64([1]), f64([1]), f64([4]), false, 0.1, 0, false),
    () => [[[[5]]]],
  ],
  [
    'conv2d',
    () =>
      torch.conv2d(
        f64([
          [
            [
              [1, 2, 3],
              [4, 5, 6],
              [7, 8, 9],
            ],
          ],
        ]),
        f64([
          [
            [
              [1, 0],
              [0, -1],
            ],
          ],
        ]),
      ),
    () => [
      [
        [
          [-4, -4],
          [-4, -4],
        ],
      ],
    ],
  ],
  [
    'maxPool2d',
    () =>
      torch.maxPool2d(
        f64([
          [
            [
              [1, 2],
              [3, 4],
            ],
          ],
        ]),
        2,
      ),
    () => [[[[4]]]],
  ],
  [
    'upsampleBilinear2d, corners aligned',
    () => torch.upsampleBilinear2d(f64([[[[0, 2]]]]), [1, 3], true),
    () => [[[[0, 1, 2]]]],
  ],
  [
    'upsampleNearest2d',
    () => torch.upsampleNearest2d(f64([[[[1, 2]]]]), [1, 4]),
    () => [[[[1, 1, 2, 2]]]],
  ],
  [
    'crossEntropyLoss, ignoring 255',
    () =>
      torch.crossEntropyLoss(
        f64([
          [0, 0],
          [5, 5],
        ]),
        torch.tensor([1n, 255n]),
        null,
        1,
        255,
        0,
      ),
    () => Math.LN2,
  ],
  ['nllLoss', () => torch.nllLoss(f64([[-1, -2]]), torch.tensor([1n])), () => 2],
  ['mseLoss', () => torch.mseLoss(f64([1, 2]), f64([3, 2]), 2), () => 4],
];

describe('operators', () => {
  it.each(checks)('%s', (_, result, expected) =>
    torch.scope(() => {
      expect(result()).toBeCloseToTensor(expected(), tight);
    }),
  );

  it('scaledDotProductAttention is softmax(QKᵀ/√d)V', () =>
    torch.scope(() => {
      const generator = new torch.Generator().manualSeed(0);
      const make = () => torch.randn([2, 3, 5, 4], { generator, dtype: 'float64' });
      const [q, k, v] = [make(), make(), make()];
      const attention = q.matmul(k.transpose(-2, -1)).div(2).softmax(-1).matmul(v);
      expect(torch.scaledDotProductAttention(q, k, v)).toBeCloseToTensor(attention, tight);
    }));

  it('the FFT inverts', () =>
    torch.scope(() => {
      const z = torch.fft.fft(x());
      expect(z.dtype).toBe('complex128');
      expect(torch.real(torch.fft.ifft(z))).toBeCloseToTensor(values, tight);
      expect(() => z.toArray()).toThrow(/viewAsReal/);
      expect(torch.viewAsReal(z).shape).toEqual([4, 2]);
    }));

  it('an SVD multiplies back', () =>
    torch.scope(() => {
      const a = f64([
        [1, 2],
        [3, 4],
        [5, 6],
      ]);
      const [u, s, vh] = torch.linalg.svd(a, false);
      expect(u.mul(s).matmul(vh)).toBeCloseToTensor(a, { rtol: 1e-10 });
    }));
});
