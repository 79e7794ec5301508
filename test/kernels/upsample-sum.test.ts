import { torch } from 'm3l';
import { describe, expect, it } from 'vitest';
import { gradcheck } from '../helpers/gradcheck.js';

type Tensor = torch.Tensor;
type Grid = readonly [height: number, width: number];

const devices = torch.cuda.isAvailable() ? ['cpu', 'cuda'] : ['cpu'];
if (devices.length === 1) console.log('upsample_sum on CUDA: skipped, no GPU here');

interface Case {
  batch: number;
  channels: number;
  /** Of base, then of each map. */
  grids: readonly [Grid, ...Grid[]];
}

const fused = ([base, ...maps]: Tensor[], [grid, ...grids]: Case['grids'], relu = true) =>
  torch.ops.m3l!.upsample_sum!(base!, maps, grids.flat(), ...grid, relu) as Tensor;

/** By PyTorch's own operators. */
function composed([base, ...maps]: Tensor[], [grid, ...grids]: Case['grids'], relu = true): Tensor {
  const sum = maps.reduce((total, map, i) => {
    const image = map.unflatten(1, [...grids[i]!]).permute([0, 3, 1, 2]);
    const upsampled = torch.upsampleBilinear2d(image, [...grid], false);
    return total.add(upsampled.permute([0, 2, 3, 1]).flatten(1, 2));
  }, base!);
  return relu ? torch.relu(sum) : sum;
}

function inputs(
  { batch, channels, grids }: Case,
  device: string,
  dtype: 'float32' | 'float64' | 'bfloat16' = 'float32',
): Tensor[] {
  return grids.map(([height, width]) =>
    torch
      .randn([batch, height * width, channels], { device })
      .to(dtype)
      .requiresGrad_(),
  );
}

const CASES: Case[] = [
  { batch: 1, channels: 1, grids: [[1, 1]] },
  {
    batch: 2,
    channels: 5,
    grids: [
      [7, 9],
      [4, 5],
      [2, 3],
      [1, 2],
    ],
  },
  {
    batch: 3,
    channels: 64,
    grids: [
      [32, 32],
      [16, 16],
      [8, 8],
      [4, 4],
    ],
  },
  {
    batch: 1,
    channels: 33,
    grids: [
      [135, 135],
      [68, 68],
      [34, 34],
      [17, 17],
    ],
  },
  // Whole vectors of channels, and lines that no strip of columns divides.
  {
    batch: 2,
    channels: 24,
    grids: [
      [11, 13],
      [6, 7],
      [13, 11],
      [1, 1],
      [3, 5],
    ],
  },
  // A row and a column of pixels.
  {
    batch: 1,
    channels: 8,
    grids: [
      [1, 19],
      [5, 2],
    ],
  },
  {
    batch: 1,
    channels: 4,
    grids: [
      [19, 1],
      [2, 3],
    ],
  },
  // Smaller than what is to be upsampled.
  {
    batch: 2,
    channels: 3,
    grids: [
      [3, 5],
      [6, 4],
    ],
  },
];

describe.each(devices)('upsample_sum on %s', (device) => {
  it.each(CASES)('is upsampling, sum and ReLU, forward and backward: %o', (size) => {
    torch.scope(() => {
      const given = inputs(size, device);
      // None where rounding decides which side of 0 the sum is on.
      const decided = torch.noGrad(() => composed(given, size.grids, false).abs().gt(1e-4));
      const seed = torch.randn([...given[0]!.shape], { device }).mul(decided);
      for (const relu of [true, false]) {
        const run = (f: typeof fused, dtype: 'float32' | 'float64') => {
          const own = given.map((x) => x.detach().to(dtype).requiresGrad_());
          const y = f(own, size.grids, relu);
          return [y, ...torch.grad([y], own, { gradOutputs: [seed.to(dtype)] })];
        };
        const wanted = run(composed, 'float64');
        for (const [i, found] of run(fused, 'float32').entries()) {
          const truth = wanted[i]!;
          const error = found!.to('float64').sub(truth).abs().max().item();
          // Positions are float32, as libtorch's: at column 134 off by some 1e-6.
          expect(error).toBeLessThan(1e-5 * Math.max(1, truth.abs().max().item()));
        }
      }
    });
  });

  it('has the right gradients', () => {
    torch.scope(() => {
      const { grids } = CASES[1]!;
      const given = inputs({ batch: 1, channels: 2, grids }, device, 'float64');
      gradcheck((...xs) => fused(xs, grids, false), given);
    });
  });

  it('computes bfloat16 in float, and keeps NaN to where it is read', () => {
    torch.scope(() => {
      const size = CASES[1]!;
      const given = inputs(size, device, 'bfloat16').map((x) => x.detach());
      const found = fused(given, size.grids);
      expect(found.dtype).toBe('bfloat16');
      const wanted = composed(
        given.map((x) => x.to('float32')),
        size.grids,
      );
      expect(found.to('float32')).toBeCloseToTensor(wanted, { rtol: 1e-2, atol: 1e-2 });
      given[1]!.select(1, 0).select(1, 0).fill_(Number.NaN);
      const spoiled = fused(given, size.grids).isnan();
      expect(spoiled.select(1, 0).select(1, 0).all().item()).toBeTruthy();
      expect(spoiled.narrow(2, 1, 4).any().item()).toBeFalsy();
      expect(spoiled.select(1, 62).any().item()).toBeFalsy();
    });
  });

  it.each(['bfloat16', 'float16', 'float64'] as const)(
    'is right in %s, forward and backward',
    (dtype) => {
      torch.scope(() => {
        const tolerance = { bfloat16: 2 ** -8, float16: 2 ** -11, float64: 1e-12 }[dtype];
        for (const size of CASES.filter(({ channels }) => channels < 33)) {
          const given = inputs(size, device).map((x) => x.detach().to(dtype));
          const seed = torch.randn([...given[0]!.shape], { device }).to(dtype);
          const run = (f: typeof fused, computed: typeof dtype) => {
            const own = given.map((x) => x.to(computed).detach().requiresGrad_());
            const y = f(own, size.grids, false);
            return [y, ...torch.grad([y], own, { gradOutputs: [seed.to(computed)] })];
          };
          const wanted = run(composed, 'float64');
          for (const [i, found] of run(fused, dtype).entries()) {
            const truth = wanted[i]!;
            expect(found!.dtype).toBe(dtype);
            const error = found!.to('float64').sub(truth).abs().max().item();
            expect(error).toBeLessThan(tolerance * Math.max(1, truth.abs().max().item()));
          }
        }
      });
    },
  );

  it('rounds to halves as libtorch does: every one of them, and a constant added', () => {
    torch.scope(() => {
      const bits = torch
        .arange(2 ** 16)
        .to('int32')
        .sub(2 ** 15)
        .to('int16');
      const every = bits.view('float16').to(device);
      const base = every.view([1, 2 ** 14, 4]);
      for (const constant of [0, 1, 16, -65504, 65504, 2 ** -24, 3 * 2 ** -25, 2 ** -14]) {
        const map = torch.full([1, 1, 4], constant, { device }).to('float16');
        const grids: Case['grids'] = [
          [2 ** 7, 2 ** 7],
          [1, 1],
        ];
        const found = fused([base, map], grids, false);
        const wanted = base.to('float32').add(map.to('float32')).to('float16');
        expect(found).toBeCloseToTensor(wanted, { rtol: 0, atol: 0 });
      }
    });
  });

  it('takes what lies between 16 bytes, is strided or expanded, and any number of maps', () => {
    torch.scope(() => {
      const { grids } = CASES[4]!;
      const given = inputs({ batch: 2, channels: 16, grids }, device).map((x) => x.detach());
      const seed = torch.randn([...given[0]!.shape], { device });
      const run = (own: Tensor[], seeds: Tensor) => {
        const leaves = own.map((x) => x.detach().requiresGrad_());
        const y = fused(leaves, grids, false);
        return [y, ...torch.grad([y], leaves, { gradOutputs: [seeds] })];
      };
      const shifted = (x: Tensor) => {
        const memory = torch.zeros([x.numel() + 1], { device });
        return memory
          .narrow(0, 1, x.numel())
          .view([...x.shape])
          .copy_(x);
      };
      const strided = (x: Tensor) => x.transpose(1, 2).contiguous().transpose(1, 2);
      const wanted = run(given, seed);
      const [base, ...maps] = given as [Tensor, ...Tensor[]];
      const placements: [Tensor[], Tensor][] = [
        [[shifted(base), ...maps], shifted(seed)],
        [[base, ...maps.map(shifted)], seed],
        [given.map(strided), strided(seed)],
      ];
      for (const [placed, seeds] of placements) {
        for (const [i, found] of run(placed, seeds).entries()) {
          expect(found).toBeCloseToTensor(wanted[i]!, { rtol: 1e-6, atol: 1e-6 });
        }
      }
      const one = torch.ones([1, 1, 1], { device });
      const all = run(given, one.expand([...seed.shape]));
      const filled = run(given, torch.ones([...seed.shape], { device }));
      for (const [i, found] of all.entries())
        expect(found).toBeCloseToTensor(filled[i]!, { rtol: 0, atol: 0 });

      const many: [Grid, ...Grid[]] = [[3, 4], ...Array.from({ length: 35 }, (): Grid => [2, 3])];
      const of = inputs({ batch: 1, channels: 4, grids: many }, device);
      const wide = of.map((x) => x.to('float64'));
      for (const relu of [false, true]) {
        const error = fused(of, many, relu)
          .to('float64')
          .sub(composed(wide, many, relu));
        expect(error.abs().max().item()).toBeLessThan(1e-4);
      }
    });
  });

  it('gives the gradients of those maps that need one, of many and of an empty batch', () => {
    torch.scope(() => {
      const many: [Grid, ...Grid[]] = [
        [9, 11],
        ...Array.from({ length: 20 }, (_, i): Grid => [1 + (i % 5), 1 + (i % 3)]),
      ];
      for (const channels of [3, 16]) {
        const given = inputs({ batch: 2, channels, grids: many }, device).map((x, i) =>
          x.detach().requiresGrad_(i % 3 > 0),
        );
        const needed = given.filter((x) => x.requiresGrad);
        const seed = torch.randn([...given[0]!.shape], { device });
        const run = (f: typeof fused) =>
          torch.grad([f(given, many, false)], needed, { gradOutputs: [seed] });
        const wanted = run(composed);
        for (const [i, found] of run(fused).entries())
          expect(found!).toBeCloseToTensor(wanted[i]!, { rtol: 1e-5, atol: 1e-5 });
      }
      const backward = torch.ops.m3l.upsample_sum_backward;
      const none = backward(torch.zeros([0, 12, 5], { device }), 3, 4, [2, 3, 1, 1]);
      expect(none.map((x) => x.shape)).toEqual([
        [0, 6, 5],
        [0, 1, 5],
      ]);
      const gradient = torch.zeros([1, 12, 5], { device });
      expect(backward(gradient, 3, 4, [])).toEqual([]);
      expect(() => backward(gradient, 3, 4, [2, 3, 1])).toThrow(/3 sizes, expected height and/);
      expect(() => backward(gradient, 3, 4, [2, 3, 0, 1])).toThrow(/a map is 0 × 1/);
      expect(() => backward(gradient, 3, 5, [2, 3])).toThrow(/expected \[B, 15, C\]/);
    });
  });

  it('says what does not fit together', () => {
    torch.scope(() => {
      const { grids } = CASES[1]!;
      const given = inputs(CASES[1]!, device);
      const [base, first] = given as [Tensor, Tensor];
      const op = torch.ops.m3l!.upsample_sum!;
      expect(() => op(base, [first], [4], 7, 9, true)).toThrow(/1 sizes for 1 maps/);
      expect(() => op(base, [first], [4, 6], 7, 9, true)).toThrow(
        /a map is \[2, 20, 5\], expected \[B, 24, C\]/,
      );
      expect(() => op(base, [first], [4, 5], 7, 8, true)).toThrow(
        /base is \[2, 63, 5\], expected \[B, 56, C\]/,
      );
      const none = base.narrow(1, 0, 0);
      expect(() => op(none, [], [], 2 ** 32, 2 ** 32, true)).toThrow(/\[B, height · width, C\]/);
      // No batch: nothing to compute, on a grid whose tables there is no memory for.
      const large = torch.zeros([0, 2 ** 40, 5], { device });
      expect(op(large, [first.narrow(0, 0, 0)], [4, 5], 2 ** 40, 1, true)).toBeDefined();
      expect(() => op(base, [first.to('float64')], [4, 5], 7, 9, true)).toThrow(/Double/);
      const y = fused(given, grids).sum();
      expect(() => torch.grad([y], [base], { createGraph: true })).toThrow(/upsample_sum/);
    });
  });
});
