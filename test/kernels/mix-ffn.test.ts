import { torch } from 'm3l';
import { describe, expect, it } from 'vitest';
import { gradcheck } from '../helpers/gradcheck.js';

type Tensor = torch.Tensor;

const devices = torch.cuda.isAvailable() ? ['cpu', 'cuda'] : ['cpu'];
if (devices.length === 1) console.log('mix_ffn on CUDA: skipped, no GPU here');

type SevenTensors = [Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor];
type Grid = [height: number, width: number];
type FeedForward = (given: readonly Tensor[], grid: Grid) => Tensor;

const fused: FeedForward = (given, grid) => {
  const [x, inWeight, inBias, weight, bias, outWeight, outBias] = given as SevenTensors;
  return torch.ops.m3l.mix_ffn(x, inWeight, inBias, weight, bias, outWeight, outBias, ...grid);
};

/** By PyTorch's own operators, layer by layer. */
const composed: FeedForward = ([x, w1, b1, weight, bias, w2, b2], [height, width]) => {
  const image = torch.linear(x!, w1!, b1!).unflatten(1, [height, width]).permute([0, 3, 1, 2]);
  const groups = weight!.shape[0]!;
  const convolved = torch.conv2d(image, weight!, bias!, [1, 1], [1, 1], [1, 1], groups);
  return torch.linear(torch.gelu(convolved).permute([0, 2, 3, 1]).flatten(1, 2), w2!, b2!);
};

/** Tokens [batch, N, channels], then the weights of a Mix-FFN of `hidden` channels. */
function inputs(
  [batch, height, width, channels, hidden]: readonly [number, number, number, number, number],
  device: string,
  dtype: 'float32' | 'float64' = 'float32',
): Tensor[] {
  const make = (shape: number[], scale: number) =>
    torch.randn(shape, { device, dtype }).mul(scale).requiresGrad_();
  return [
    make([batch, height * width, channels], 1),
    make([hidden, channels], channels ** -0.5),
    make([hidden], 0.5),
    make([hidden, 1, 3, 3], 0.4),
    make([hidden], 0.5),
    make([channels, hidden], hidden ** -0.5),
    make([channels], 0.5),
  ];
}

const SIZES = [
  [1, 1, 1, 1, 1],
  [2, 5, 7, 3, 9],
  [3, 8, 8, 32, 128],
  [2, 33, 17, 64, 256],
  [1, 19, 41, 4, 24],
] as const;

describe.each(devices)('mix_ffn on %s', (device) => {
  it.each(SIZES)('is the layers one after the other: B %i, %i × %i, C %i, %i', (...size) => {
    torch.scope(() => {
      const given = inputs(size, device);
      const grid: Grid = [size[1], size[2]];
      const seed = torch.randn([...given[0]!.shape], { device });
      const run = (f: FeedForward, dtype: 'float32' | 'float64') => {
        const own = given.map((x) => x.detach().to(dtype).requiresGrad_());
        const y = f(own, grid);
        return [y, ...torch.grad([y], own, { gradOutputs: [seed.to(dtype)] })];
      };
      const wanted = run(composed, 'float64');
      for (const [i, found] of run(fused, 'float32').entries()) {
        const truth = wanted[i]!;
        const error = found!.to('float64').sub(truth).abs().max().item();
        expect(error, `${i}`).toBeLessThan(3e-6 * truth.abs().max().item());
      }
      const plain = torch.noGrad(() => fused(given, grid));
      expect(plain.requiresGrad).toBe(false);
      expect(torch.equal(plain, fused(given, grid))).toBe(true);
    });
  });

  it('has the right gradients, of what alone needs one too', () => {
    torch.scope(() => {
      const given = inputs([2, 3, 4, 3, 5], device, 'float64');
      gradcheck((...xs) => fused(xs, [3, 4]), given);
      for (const alone of given.keys()) {
        const some = given.map((x, i) =>
          x
            .detach()
            .clone()
            .requiresGrad_(i === alone),
        );
        gradcheck((...xs) => fused(xs, [3, 4]), some);
      }
    });
  });

  it.each(['bfloat16', 'float16', 'float64'] as const)(
    'computes in %s the activation anew where its slope is: the forward’s',
    (dtype) => {
      torch.scope(() => {
        const { m3l: operators } = torch.ops;
        const backward = operators.mix_ffn_hidden_backward;
        const tolerance = { bfloat16: 2 ** -7, float16: 2 ** -10, float64: 1e-12 }[dtype];
        for (const [batch, height, width, channels, hidden] of [
          ...SIZES,
          [0, 3, 4, 5, 8],
        ] as const) {
          const make = (...shape: number[]) => torch.randn(shape, { device }).to(dtype);
          const gradient = make(batch, height * width, channels);
          const tokens = make(batch, height * width, hidden);
          const [weight, bias] = [make(hidden, 1, 3, 3).mul(0.4), make(hidden)];
          const outWeight = make(channels, hidden).mul(channels ** -0.5);
          const grid = [height, width] as const;
          const activated = operators.token_dwconv_gelu(tokens, weight, bias, ...grid);
          const wanted = [
            ...operators.token_dwconv_gelu_backward(
              gradient.matmul(outWeight),
              ...([tokens, weight, bias] as const),
              ...grid,
            ),
            gradient.flatten(0, 1).t().mm(activated.flatten(0, 1)),
          ];
          const found = backward(gradient, tokens, weight, bias, outWeight, ...grid, true);
          for (const [i, truth] of wanted.entries()) {
            expect(found[i]!.dtype).toBe(dtype);
            const atol = tolerance * (truth.numel() > 0 ? truth.abs().max().item() : 0);
            expect(found[i]!).toBeCloseToTensor(truth, { rtol: 0, atol });
          }
          const without = backward(gradient, tokens, weight, bias, outWeight, ...grid, false);
          expect(without[0].equal(found[0])).toBe(true);
        }
        const [gradient, tokens] = [0, 1].map(() => torch.zeros([2, 6, 4], { device }));
        const [weight, bias] = [
          torch.zeros([4, 1, 3, 3], { device }),
          torch.zeros([4], { device }),
        ];
        const square = torch.zeros([4, 4], { device });
        expect(() => backward(gradient!, tokens!, weight, bias, square, 2, 4, true)).toThrow(
          /tokens are \[2, 6, 4\], expected \[B, 8, C\]/,
        );
      });
    },
  );

  it('keeps of the hidden tokens the first product alone for its backward', () => {
    torch.scope(() => {
      // A grid that a process's memory shows; emulated kernels would take minutes for so many threads.
      const side = process.env.M3L_KERNELS ? 64 : 128;
      if (side < 128) console.log('mix_ffn: its memory on 64 × 64 in place of 128 × 128');
      const given = inputs([1, side, side, 4, 512], device);
      const hidden = side * side * 512 * 4; // bytes
      const graphs = 8;
      const make = () => torch.scope(() => fused(given, [side, side]));
      const held = () =>
        device === 'cpu' ? process.memoryUsage.rss() : torch.cuda.memory().allocated;
      make().dispose(); // what it needs while it runs
      const before = held();
      const results = Array.from({ length: graphs }, make);
      expect((held() - before) / hidden).toBeLessThan(1.5 * graphs);
      torch.dispose(results);
    });
  });

  it('says what does not fit together', () => {
    torch.scope(() => {
      const given = inputs([2, 3, 4, 3, 5], device);
      const replaced = (index: number, by: Tensor) => given.map((x, i) => (i === index ? by : x));
      expect(() => fused(given, [3, 5])).toThrow(/\[2, 12, 3\], expected \[B, 15, C\]/);
      const none = replaced(0, given[0]!.narrow(1, 0, 0));
      expect(() => fused(none, [2 ** 62, 4])).toThrow(/expected \[B, height · width, C\]/);
      const square = torch.zeros([5, 5], { device });
      expect(() => fused(replaced(1, square), [3, 4])).toThrow(
        /in_weight is \[5, 5\], expected \[5, 3\]/,
      );
      expect(() => fused(replaced(5, square), [3, 4])).toThrow(
        /out_weight is \[5, 5\], expected \[3, 5\]/,
      );
      expect(() => fused(replaced(6, square), [3, 4])).toThrow(
        /out_bias is \[5, 5\], expected \[3\]/,
      );
    });
  });

  it('cannot be differentiated twice, and says so', () => {
    torch.scope(() => {
      const given = inputs([1, 2, 2, 3, 4], device);
      const y = fused(given, [2, 2]).sum();
      expect(() => torch.grad([y], [given[0]!], { createGraph: true })).toThrow(/mix_ffn/);
    });
  });
});
