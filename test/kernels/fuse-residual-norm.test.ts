import { nn, torch } from 'm3l';
import { describe, expect, it } from 'vitest';
import { gradcheck } from '../helpers/gradcheck.js';
import {
  type Arguments,
  cases,
  composed,
  fused,
  randomArguments,
} from '../helpers/residual-norm.js';

type Tensor = torch.Tensor;
const devices = torch.cuda.isAvailable() ? ['cpu', 'cuda'] : ['cpu'];
if (devices.length === 1) console.log('fuse_residual_norm on CUDA: skipped, no GPU here');

const inputsOf = (a: Arguments) => [a.residual, a.branch, a.weight, a.bias];

describe.each(devices)('fuse_residual_norm on %s', (device) => {
  it.each(cases)('is its composition, $shape, ratio $ratio, dropped $dropped', (given) => {
    torch.scope(() => {
      const a = randomArguments(given, device);
      const found = fused(a);
      const wanted = composed(a);
      const close = { rtol: 2e-5, atol: 2e-5 };
      expect(found[0]).toBeCloseToTensor(wanted[0], close);
      // A row of one channel is its own mean: what is left is rounding.
      const normalClose = given.shape[3] === 1 ? { atol: 1e-3 } : close;
      expect(found[1]).toBeCloseToTensor(wanted[1], normalClose);
      if (given.shape[3] === 1) return;

      const seeds = [0, 1].map(() => torch.randn([...found[0].shape], { device }));
      // Of both results, then of one alone: the other's gradient is then undefined.
      for (const which of [[0, 1], [1], [0]]) {
        const gradOutputs = which.map((i) => seeds[i]!);
        const inputs = inputsOf(a);
        const options = { gradOutputs, retainGraph: true, allowUnused: true };
        const expected = torch.grad(
          which.map((i) => wanted[i]!),
          inputs,
          options,
        );
        const gradients = torch.grad(
          which.map((i) => found[i]!),
          inputs,
          options,
        );
        for (const [i, gradient] of gradients.entries()) {
          const tolerance = { rtol: 1e-4, atol: 2e-4 };
          const other = expected[i] ?? torch.zeros([...inputs[i]!.shape], { device });
          expect(gradient!).toBeCloseToTensor(other, tolerance);
        }
        const again = torch.grad(
          which.map((i) => found[i]!),
          inputs,
          options,
        );
        expect(again.every((gradient, i) => gradient!.equal(gradients[i]!))).toBe(true);
      }
    });
  });

  it('gives only the gradients that are asked for', () => {
    torch.scope(() => {
      for (const given of cases.slice(0, 6)) {
        const a = randomArguments(given, device);
        const loss = ([sum, normal]: [Tensor, Tensor]) => sum.sum().add(normal.pow(2).sum());
        const all = torch.grad([loss(fused(a))], inputsOf(a));
        for (const [i, key] of (['residual', 'branch', 'weight', 'bias'] as const).entries()) {
          const constants = { residual: a.residual.detach(), branch: a.branch.detach() };
          const affine = { weight: a.weight.detach(), bias: a.bias.detach() };
          const one = { ...a, ...constants, ...affine, [key]: a[key] };
          const [gradient] = torch.grad([loss(fused(one))], [a[key]]);
          expect(gradient!).toBeCloseToTensor(all[i]!, { rtol: 1e-5, atol: 1e-5 });
        }
      }
    });
  });

  it.each(['bfloat16', 'float16'] as const)('computes %s tokens with float weights', (dtype) => {
    torch.scope(() => {
      for (const given of [cases[0]!, cases[3]!, cases[4]!, cases[6]!]) {
        const a = randomArguments(given, device);
        const low = (x: Tensor) => x.detach().to(dtype).requiresGrad_();
        const narrow = { ...a, residual: low(a.residual), branch: low(a.branch) };
        const wide = {
          ...a,
          residual: narrow.residual.detach().to('float32').requiresGrad_(),
          branch: narrow.branch.detach().to('float32').requiresGrad_(),
        };
        const [found, wanted] = [fused(narrow), composed(wide)];
        expect(found.map((x) => x.dtype)).toEqual([dtype, dtype]);
        const loss = ([sum, normal]: Tensor[]) =>
          sum!.to('float32').sin().sum().add(normal!.to('float32').sin().sum());
        const gradients = torch.grad([loss(found)], inputsOf(narrow));
        expect(gradients.map((x) => x!.dtype)).toEqual([dtype, dtype, 'float32', 'float32']);
        const expected = torch.grad([loss(wanted)], inputsOf(wide));
        for (const [x, y] of [...zip(found, wanted), ...zip(gradients, expected)]) {
          const error = x.to('float32').sub(y).abs().max().item();
          expect(error).toBeLessThan(0.04 * Math.max(1, y.abs().max().item()));
        }
      }
    });
  });

  it.each(['bfloat16', 'float16'] as const)('adds a %s branch to a float32 residual', (dtype) => {
    torch.scope(() => {
      const narrow = { bfloat16: 2 ** -8, float16: 2 ** -11 }[dtype];
      for (const given of cases.filter(({ shape }) => shape[3] > 1)) {
        const a = randomArguments(given, device);
        const mixed = { ...a, branch: a.branch.detach().to(dtype).requiresGrad_() };
        const wide = (x: Tensor) => x.detach().to('float64').requiresGrad_();
        const exact = {
          ...a,
          ...{ residual: wide(a.residual), branch: wide(mixed.branch) },
          ...{ weight: wide(a.weight), bias: wide(a.bias) },
          scale: a.scale?.to('float64') ?? null,
        };
        const [found, wanted] = [fused(mixed), composed(exact)];
        expect(found.map((x) => x.dtype)).toEqual(['float32', dtype]);
        // Only what is stored narrow is rounded so: the sum and the residual's gradient are not.
        const bounds = [1e-6, narrow];
        for (const [i, x] of found.entries()) {
          expect(relativeError(x, wanted[i]!)).toBeLessThan(bounds[i]!);
        }
        const seeds = wanted.map((x, i) =>
          torch.randn([...x.shape], { device }).to(found[i]!.dtype),
        );
        for (const which of [[0, 1], [1], [0]]) {
          const gradient = (of: Tensor[], inputs: Tensor[]) => {
            const roots = which.map((i) => of[i]!);
            const gradOutputs = which.map((i, at) => seeds[i]!.to(roots[at]!.dtype));
            return torch.grad(roots, inputs, { gradOutputs, allowUnused: true, retainGraph: true });
          };
          const gradients = gradient(found, inputsOf(mixed));
          const expected = gradient(wanted, inputsOf(exact));
          const sizes = [5e-6, narrow, 2e-5, 2e-5];
          for (const [i, x] of gradients.entries()) {
            expect(x!.dtype).toBe(i === 1 ? dtype : 'float32');
            const truth = expected[i] ?? torch.zeros([...x!.shape], { device });
            expect(relativeError(x!, truth)).toBeLessThan(sizes[i]!);
          }
        }
      }
    });
  });

  it('gives of a narrow branch only the gradients that are asked for', () => {
    torch.scope(() => {
      for (const given of [cases[1]!, cases[5]!, cases[9]!]) {
        const a = randomArguments(given, device);
        const branch = a.branch.detach().to('bfloat16');
        const loss = (of: Arguments) => {
          const [sum, normal] = fused(of);
          return sum.sin().sum().add(normal.to('float32').sin().sum());
        };
        const both = { ...a, branch: branch.detach().requiresGrad_() };
        const all = torch.grad([loss(both)], [both.residual, both.branch]);
        const one = { ...both, residual: a.residual.detach() };
        const other = { ...a, branch };
        const alone = [
          ...torch.grad([loss(other)], [other.residual]),
          ...torch.grad([loss(one)], [one.branch]),
        ];
        for (const [i, gradient] of alone.entries()) expect(gradient!.equal(all[i]!)).toBe(true);
        const plain = torch.inferenceMode(() => fused(both).map((x) => x.dtype));
        expect(plain).toEqual(['float32', 'bfloat16']);
      }
    });
  });

  it('drops what a drop path of the same seed drops', () => {
    torch.scope(() => {
      const a = randomArguments({ shape: [2, 20, 3, 8], ratio: 1, dropped: false }, device);
      const dropPath = new nn.DropPath(0.4);
      torch.manualSeed(7);
      const wanted = dropPath.residual(a.residual, a.branch);
      torch.manualSeed(7);
      const [sum] = fused({ ...a, scale: dropPath.sampleFactors(a.residual) });
      expect(sum).toBeCloseToTensor(wanted, { atol: 1e-6 });
      expect(sum.sub(a.residual).abs().amax([1, 2]).eq(0).any().item()).toBeTruthy();
    });
  });

  it('fuses nothing over at ratio 1, NaN included', () => {
    torch.scope(() => {
      const a = randomArguments({ shape: [2, 1, 3, 8], ratio: 1, dropped: false }, device);
      const branch = a.branch.detach().clone();
      branch.select(0, 0).fill_(Number.NaN);
      const [sum, normal] = fused({ ...a, branch });
      expect(sum.select(0, 1).isfinite().all().item()).toBeTruthy();
      expect(normal.select(0, 1).isfinite().all().item()).toBeTruthy();
    });
  });

  it('holds a mean far from zero', () => {
    torch.scope(() => {
      const a = randomArguments({ shape: [2, 2, 9, 64], ratio: 0.8, dropped: false }, device);
      const far = { ...a, residual: a.residual.detach().add(300) };
      const exact = Object.fromEntries(
        Object.entries(far).map(([k, v]) => [k, v instanceof torch.Tensor ? v.to('float64') : v]),
      ) as unknown as Arguments;
      const error = fused(far)[1].sub(composed(exact)[1]).abs().max().item();
      expect(error).toBeLessThan(2e-4);
    });
  });

  it('has the right gradients', () => {
    torch.scope(() => {
      const given = { dtype: 'float64', device } as const;
      const leaf = (size: number[]) => torch.randn(size, given).requiresGrad_();
      for (const [modalities, ratio, dropped] of [
        [2, 0.8, true],
        [3, 0.6, true],
        [2, 1, true],
        [1, 1, false],
      ] as const) {
        const rows = modalities * 2;
        const tokens = [leaf([rows, 2, 5]), leaf([rows, 2, 5])];
        const affine = [leaf([modalities, 5]), leaf([modalities, 5])];
        const scale = dropped ? torch.rand([rows], given).add(0.5) : null;
        gradcheck(
          (residual, branch, weight, bias) => {
            const [sum, normal] = fused({
              residual: residual!,
              branch: branch!,
              scale,
              weight: weight!,
              bias: bias!,
              modalities,
              ratio,
            });
            return torch.cat([sum, normal.pow(2)], 2);
          },
          [...tokens, ...affine],
        );
      }
    });
  });

  it('is the same with one thread and with more, and without gradients', () => {
    torch.scope(() => {
      const a = randomArguments({ shape: [2, 2, 700, 64], ratio: 0.8, dropped: true }, device);
      const loss = () => fused(a)[1].pow(2).sum();
      const wanted = torch.grad([loss()], inputsOf(a));
      const threads = torch.getNumThreads();
      torch.setNumThreads(threads === 1 ? 2 : 1);
      const found = torch.grad([loss()], inputsOf(a));
      torch.setNumThreads(threads);
      // The loss above is a sum of torch's own, but its gradient does not depend on it.
      for (const [i, gradient] of found.entries()) expect(gradient!.equal(wanted[i]!)).toBe(true);
      const [sum, normal] = fused(a);
      for (const plain of [torch.noGrad(() => fused(a)), torch.inferenceMode(() => fused(a))]) {
        expect(plain[0].equal(sum) && plain[1].equal(normal)).toBe(true);
      }
    });
  });

  it('takes no tokens at all', () => {
    torch.scope(() => {
      const a = randomArguments({ shape: [2, 1, 0, 8], ratio: 0.8, dropped: false }, device);
      const [sum, normal] = fused(a);
      expect(sum.shape).toEqual([2, 0, 8]);
      const [weight] = torch.grad([normal.sum()], [a.weight]);
      expect(weight!.eq(0).all().item()).toBeTruthy();
    });
  });

  it('names itself where arguments do not fit', () => {
    torch.scope(() => {
      const a = randomArguments({ shape: [2, 3, 4, 8], ratio: 0.8, dropped: true }, device);
      const wrong = (change: Partial<Arguments>) => () => fused({ ...a, ...change });
      const zeros = (size: number[]) => torch.zeros(size, { device });
      expect(wrong({ modalities: 4 })).toThrow(/fuse_residual_norm: tokens are \[6, 4, 8\]/);
      expect(wrong({ modalities: 0 })).toThrow(/fuse_residual_norm: 0 modalities/);
      expect(wrong({ branch: zeros([6, 4, 7]) })).toThrow(/fuse_residual_norm: branch is/);
      const narrow = { branch: zeros([6, 4, 7]).to('bfloat16') };
      expect(wrong(narrow)).toThrow(
        /branch is BFloat16 .*expected Float, BFloat16 or Half \[6, 4, 8\]/,
      );
      expect(wrong({ scale: zeros([5]) })).toThrow(/fuse_residual_norm: scale is \[5\].*\[6\]/);
      expect(wrong({ weight: zeros([8]) })).toThrow(/fuse_residual_norm: weight or bias is/);
      expect(wrong({ bias: zeros([2, 9]) })).toThrow(/fuse_residual_norm: weight or bias is/);
      expect(wrong({ residual: zeros([6, 4]) })).toThrow(/fuse_residual_norm: tokens are \[6, 4\]/);
      expect(wrong({ residual: zeros([6, 4, 8]).to('int64') })).toThrow(/fuse_residual_norm/);
    });
  });
});

/** The largest difference, by the largest that is expected. */
function relativeError(found: Tensor, expected: Tensor): number {
  const error = found.to('float64').sub(expected).abs().max().item();
  return error / Math.max(1, expected.abs().max().item());
}

function zip(a: readonly (Tensor | null)[], b: readonly (Tensor | null)[]): [Tensor, Tensor][] {
  return a.map((x, i) => [x!, b[i]!]);
}
