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
