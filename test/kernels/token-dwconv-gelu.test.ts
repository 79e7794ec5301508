import { torch } from 'm3l';
import { describe, expect, it } from 'vitest';
import { gradcheck } from '../helpers/gradcheck.js';

type Tensor = torch.Tensor;

const devices = torch.cuda.isAvailable() ? ['cpu', 'cuda'] : ['cpu'];
if (devices.length === 1) console.log('token_dwconv_gelu on CUDA: skipped, no GPU here');

const fused = (x: Tensor, weight: Tensor, bias: Tensor, height: number, width: number) =>
  torch.ops.m3l!.token_dwconv_gelu!(x, weight, bias, height, width) as Tensor;

/** By PyTorch's own operators: the tokens as an image, the convolution, the activation. */
function composed(x: Tensor, weight: Tensor, bias: Tensor, height: number, width: number): Tensor {
  const image = x.unflatten(1, [height, width]).permute([0, 3, 1, 2]);
  const convolved = torch.conv2d(image, weight, bias, [1, 1], [1, 1], [1, 1], x.shape[2]!);
  return torch.gelu(convolved).permute([0, 2, 3, 1]).flatten(1, 2);
}

interface Case {
  batch: number;
  height: number;
  width: number;
  channels: number;
}

type DType = 'float32' | 'float64' | 'bfloat16' | 'float16';

function inputs(
  { batch, height, width, channels }: Case,
  device: string,
  dtype: DType = 'float32',
) {
  const make = (shape: number[], scale: number) =>
    torch.randn(shape, { device }).mul(scale).to(dtype).requiresGrad_();
  return [
    make([batch, height * width, channels], 1),
    make([channels, 1, 3, 3], 0.4),
    make([channels], 0.5),
  ] as [Tensor, Tensor, Tensor];
}

/** Result, and the gradients of tokens, weight and bias under the `seed` of the result. */
function withGradients(
  f: typeof fused,
  [x, weight, bias]: [Tensor, Tensor, Tensor],
  { height, width }: Case,
  seed: Tensor,
): Tensor[] {
  const y = f(x, weight, bias, height, width);
  const gradients = torch.grad([y], [x, weight, bias], { gradOutputs: [seed] });
  return [y, ...gradients.map((gradient) => gradient!)];
}

/** The same in double, from the same values. */
function exact(given: [Tensor, Tensor, Tensor], size: Case, seed: Tensor): Tensor[] {
  const doubles = given.map((tensor) => tensor.detach().to('float64').requiresGrad_());
  return withGradients(
    composed,
    doubles as [Tensor, Tensor, Tensor],
    size,
    seed.detach().to('float64'),
  );
}

const sizes: Case[] = [
  { batch: 1, height: 1, width: 1, channels: 1 },
  { batch: 2, height: 5, width: 7, channels: 9 },
  { batch: 3, height: 1, width: 6, channels: 64 },
  { batch: 2, height: 6, width: 1, channels: 65 },
  { batch: 12, height: 4, width: 4, channels: 256 },
  { batch: 2, height: 8, width: 8, channels: 640 },
  // Bands of rows, and sums longer than are held in float32.
  { batch: 1, height: 41, width: 31, channels: 130 },
  { batch: 2, height: 2, width: 70, channels: 12 },
  // Tiles of columns, whole packs of channels, the last block's in part.
  { batch: 1, height: 37, width: 61, channels: 72 },
];

describe.each(devices)('token_dwconv_gelu on %s', (device) => {
  it.each(sizes)('is convolution and GELU, forward and backward: %o', (size) => {
    torch.scope(() => {
      const given = inputs(size, device);
      const seed = torch.randn([...given[0].shape], { device });
      const found = withGradients(fused, given, size, seed);
      const wanted = exact(given, size, seed);
      found.forEach((tensor, i) => {
        expect(tensor.dtype).toBe('float32');
        const scale = Math.max(1, wanted[i]!.abs().max().item());
        expect(tensor).toBeCloseToTensor(wanted[i]!, { rtol: 1e-6, atol: 1e-6 * scale });
      });
    });
  });

  it('sums the gradients of the weights of a large grid exactly', () => {
    torch.scope(() => {
      const size = { batch: 2, height: 135, width: 135, channels: 5 };
      const given = inputs(size, device);
      // A seed of one sign: the sums grow, and what is lost in float32 with them.
      const seed = torch.rand([...given[0].shape], { device });
      const [, , weight, bias] = withGradients(fused, given, size, seed);
      const [, , exactWeight, exactBias] = exact(given, size, seed);
      const scale = exactBias!.abs().max().item();
      expect(weight!).toBeCloseToTensor(exactWeight!, { rtol: 0, atol: 1e-6 * scale });
      expect(bias!).toBeCloseToTensor(exactBias!, { rtol: 0, atol: 1e-6 * scale });
    });
  });

  it.each([
    ['bfloat16', 5e-3],
    ['float16', 8e-4],
  ] as const)('computes %s in float', (dtype, tolerance) => {
    torch.scope(() => {
      for (const size of [sizes[1]!, sizes[4]!, sizes[6]!]) {
        const given = inputs(size, device, dtype);
        const seed = torch.randn([...given[0].shape], { device }).to(dtype);
        const wanted = exact(given, size, seed);
        for (const [i, tensor] of withGradients(fused, given, size, seed).entries()) {
          expect(tensor.dtype).toBe(dtype);
          const scale = wanted[i]!.abs().max().item();
          const error = tensor.to('float64').sub(wanted[i]!).abs().max().item();
          expect(error).toBeLessThan(tolerance * scale);
        }
      }
    });
  });

  it('takes weights in float32 with tokens of half the size', () => {
    torch.scope(() => {
      const size = sizes[1]!;
      const [x, weight, bias] = inputs(size, device);
      const half = x.detach().to('bfloat16').requiresGrad_();
      const seed = torch.randn([...x.shape], { device }).to('bfloat16');
      const found = withGradients(fused, [half, weight, bias], size, seed);
      expect(found.map((tensor) => tensor.dtype)).toEqual([
        'bfloat16',
        'bfloat16',
        'float32',
        'float32',
      ]);
      const wanted = exact([half, weight, bias], size, seed);
      for (const i of [2, 3]) {
        expect(found[i]!).toBeCloseToTensor(wanted[i]!, { rtol: 1e-5, atol: 1e-5 });
      }
    });
  });

  it.each([
    ['bfloat16', 2 ** -8],
    ['float16', 2 ** -11],
  ] as const)('is GELU of every %s to its last bit but one, and so is the slope', (dtype, unit) => {
    torch.scope(() => {
      const bits = torch.arange(2 ** 16, { device }).sub(2 ** 15);
      const every = bits.to('int16').view(dtype);
      const x = torch.where(every.isfinite(), every, torch.zerosLike(every)).view([1, 2 ** 12, 16]);
      const weight = torch.zeros([16, 1, 3, 3], { device }).to(dtype);
      weight.select(2, 1).select(2, 1).fill_(1);
      const given: [Tensor, Tensor, Tensor] = [
        x.requiresGrad_(),
        weight.requiresGrad_(),
        torch.zeros([16], { device }).to(dtype).requiresGrad_(),
      ];
      const size = { batch: 1, height: 2 ** 6, width: 2 ** 6, channels: 16 };
      const seed = torch.ones([...x.shape], { device }).to(dtype);
      const wanted = exact(given, size, seed);
      const found = withGradients(fused, given, size, seed);
      for (const i of [0, 1]) {
        const truth = wanted[i]!;
        const error = found[i]!.to('float64').sub(truth).abs();
        const allowed = truth
          .abs()
          .mul(1.02 * unit)
          .add(2e-6);
        expect(error.sub(allowed).max().item()).toBeLessThan(0);
      }
    });
  });

  it('takes what lies between 16 bytes', () => {
    torch.scope(() => {
      const size = { batch: 2, height: 19, width: 33, channels: 16 };
      for (const dtype of ['float32', 'float64', 'bfloat16', 'float16'] as const) {
        const given = inputs(size, device, dtype);
        const seed = torch.randn([...given[0].shape], { device }).to(dtype);
        const shifted = (x: Tensor) => {
          const memory = torch.zeros([x.numel() + 1], { device }).to(dtype);
          return memory
            .narrow(0, 1, x.numel())
            .view([...x.shape])
            .copy_(x.detach());
        };
        const moved = shifted(given[0]).requiresGrad_();
        const wanted = withGradients(fused, given, size, seed);
        const found = withGradients(fused, [moved, given[1], given[2]], size, shifted(seed));
        const tolerance = { float32: 1e-6, float64: 1e-12, bfloat16: 2 ** -7, float16: 2 ** -10 };
        for (const [i, truth] of wanted.entries()) {
          const atol = tolerance[dtype] * truth.abs().max().item();
          expect(found[i]!).toBeCloseToTensor(truth, { rtol: 0, atol });
        }
      }
    });
  });

  it('has the right gradients', () => {
    torch.scope(() => {
      for (const size of [
        { batch: 2, height: 3, width: 4, channels: 3 },
        { batch: 1, height: 1, width: 5, channels: 2 },
        { batch: 1, height: 17, width: 2, channels: 1 },
      ]) {
        const given = inputs(size, device, 'float64');
        gradcheck((x, weight, bias) => fused(x, weight, bias, size.height, size.width), given);
      }
    });
  });

  it('takes what is not contiguous, and gradients of what alone needs one', () => {
    torch.scope(() => {
      const size = sizes[1]!;
      const [x, weight, bias] = inputs(size, device);
      const view = x.detach().transpose(1, 2).contiguous().transpose(1, 2);
      const seed = torch.randn([size.channels, 2, 35], { device }).permute([1, 2, 0]);
      const y = fused(view, weight, bias.detach(), size.height, size.width);
      const [, , wanted] = exact([x, weight, bias], size, seed);
      const [found] = torch.grad([y], [weight], { gradOutputs: [seed] });
      expect(found!).toBeCloseToTensor(wanted!, { rtol: 1e-5, atol: 1e-5 });
    });
  });

  it('has no tokens to work on, or no channels', () => {
    torch.scope(() => {
      for (const size of [
        { batch: 0, height: 3, width: 3, channels: 4 },
        { batch: 2, height: 3, width: 3, channels: 0 },
      ]) {
        const given = inputs(size, device);
        const seed = torch.zeros([...given[0].shape], { device });
        const [y, ...gradients] = withGradients(fused, given, size, seed);
        expect(y!.shape).toEqual(given[0].shape);
        gradients.forEach((gradient, i) => {
          expect(gradient.shape).toEqual(given[i]!.shape);
          expect(gradient.abs().sum().item()).toBe(0);
        });
      }
    });
  });

  it('keeps the saturated ends, and NaN to its neighbours and channel', () => {
    torch.scope(() => {
      const weight = torch.zeros([2, 1, 3, 3], { device });
      weight.select(2, 1).select(2, 1).fill_(1);
      const bias = torch.zeros([2], { device });
      const x = torch.zeros([1, 25, 2], { device });
      for (const [i, value] of [-1e4, -20, 20, 1e4].entries()) x.select(1, i).fill_(value);
      x.select(1, 24).select(1, 1).fill_(Number.NaN);
      x.requiresGrad_();
      const y = fused(x, weight, bias, 5, 5);
      const values = y.select(2, 0).narrow(1, 0, 4);
      expect(values).toBeCloseToTensor([[0, 0, 20, 1e4]], { rtol: 1e-6, atol: 1e-3 });
      const [gradient] = torch.grad([y.select(2, 0).sum()], [x]);
      const slopes = gradient!.select(2, 0).narrow(1, 0, 4);
      expect(slopes).toBeCloseToTensor([[0, 0, 1, 1]], { atol: 1e-6 });
      const spoiled = y.isnan().nonzero().toArray() as number[][];
      const reached = new Set([18, 19, 23, 24]);
      expect(spoiled.every(([, token, channel]) => reached.has(token!) && channel === 1)).toBe(
        true,
      );
      expect(spoiled.map(([, token]) => token)).toContain(24);
    });
  });

  it('gives the same twice', () => {
    torch.scope(() => {
      const size = sizes[6]!;
      const given = inputs(size, device);
      const seed = torch.randn([...given[0].shape], { device });
      const first = withGradients(fused, given, size, seed);
      const second = withGradients(fused, given, size, seed);
      first.forEach((tensor, i) => {
        expect(torch.equal(tensor, second[i]!)).toBe(true);
      });
    });
  });

  it('gives the same for every number of threads, but for the order of sums', () => {
    const threads = torch.getNumThreads();
    try {
      torch.scope(() => {
        const size = { batch: 1, height: 33, width: 9, channels: 70 };
        const given = inputs(size, device);
        const seed = torch.randn([...given[0].shape], { device });
        const wanted = exact(given, size, seed);
        for (const count of [1, 2, 5]) {
          torch.setNumThreads(count);
          withGradients(fused, given, size, seed).forEach((tensor, i) => {
            expect(tensor).toBeCloseToTensor(wanted[i]!, { rtol: 1e-5, atol: 2e-5 });
          });
        }
      });
    } finally {
      torch.setNumThreads(threads);
    }
  });

  it('says that it has no second derivative', () => {
    torch.scope(() => {
      const given = inputs(sizes[1]!, device);
      const y = fused(...given, 5, 7);
      const [first] = torch.grad([y.sum()], [given[0]], { createGraph: true });
      expect(() => torch.grad([first!.sum()], [given[0]])).toThrow(
        /token_dwconv_gelu: its gradient cannot be differentiated again/,
      );
    });
  });

  it('names itself where arguments do not fit', () => {
    torch.scope(() => {
      const [x, weight, bias] = inputs(sizes[1]!, device);
      expect(() => fused(x, weight, bias, 5, 6)).toThrow(
        /token_dwconv_gelu: tokens are \[2, 35, 9\], expected \[B, 30, C\] for a grid of 5 × 6/,
      );
      const none = x.narrow(1, 0, 0);
      // The product of the sides is 0 in 64 bits.
      expect(() => fused(none, weight, bias, 2 ** 62, 4)).toThrow(
        /tokens are \[2, 0, 9\], expected \[B, height · width, C\]/,
      );
      expect(() => fused(x, weight, bias, -5, -7)).toThrow(
        /token_dwconv_gelu: the grid is -5 × -7/,
      );
      expect(() => fused(x.select(0, 0), weight, bias, 5, 7)).toThrow(
        /token_dwconv_gelu: tokens are \[35, 9\]/,
      );
      expect(() => fused(x, weight.squeeze(1), bias, 5, 7)).toThrow(
        /token_dwconv_gelu: weight is \[9, 3, 3\], expected \[9, 1, 3, 3\]/,
      );
      expect(() => fused(x, weight, bias.narrow(0, 0, 8), 5, 7)).toThrow(
        /token_dwconv_gelu: bias is \[8\], expected \[9\]/,
      );
      expect(() => fused(x.detach().to('int64'), weight, bias, 5, 7)).toThrow(
        /token_dwconv_gelu: tokens are Long/,
      );
      expect(() => fused(x, weight.to('float64'), bias, 5, 7)).toThrow(
        /token_dwconv_gelu: weight is Double, expected Float/,
      );
      expect(() =>
        torch.ops.m3l!.token_dwconv_gelu_backward!(x.narrow(1, 0, 9), x, weight, bias, 5, 7),
      ).toThrow(/token_dwconv_gelu_backward: grad is \[2, 9, 9\], expected \[2, 35, 9\]/);
    });
  });
});
