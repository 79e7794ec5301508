import { torch } from 'm3l';
import { describe, expect, it } from 'vitest';
import { gradcheck } from '../helpers/gradcheck.js';

const devices = torch.cuda.isAvailable() ? ['cpu', 'cuda'] : ['cpu'];
if (devices.length === 1) console.log('linear on CUDA: skipped, no GPU here');

type Maybe = torch.Tensor | null;
const linear = (x: torch.Tensor, weight: torch.Tensor, bias: Maybe = null) =>
  torch.ops.m3l!.linear!(x, weight, bias) as torch.Tensor;

/** Large enough for oneDNN where that is chosen, and too small for it. */
const SHAPES = [
  [[3, 200, 33], 65],
  [[2, 1024, 128], 32],
  [[700, 257], 129],
  [[2, 3, 5], 7],
  [[5], 3],
] as const;

describe.each(devices)('linear on %s', (device) => {
  it.each(SHAPES)('is the product in float64, with its gradients: %j to %i', (shape, out) => {
    torch.scope(() => {
      const features = shape[shape.length - 1]!;
      for (const withBias of [true, false]) {
        const given = [torch.randn([...shape]), torch.randn([out, features]), torch.randn([out])];
        const seed = torch.randn([...shape.slice(0, -1), out], { device });
        const run = (dtype: 'float32' | 'float64', f: typeof linear) => {
          const inputs = given
            .slice(0, withBias ? 3 : 2)
            .map((x) => x.to({ dtype, device }).detach().requiresGrad_());
          const y = f(inputs[0]!, inputs[1]!, inputs[2] ?? null);
          return [y, ...torch.grad([y], inputs, { gradOutputs: [seed.to(dtype)] })];
        };
        const found = run('float32', linear);
        const wanted = run('float64', (x, w, b) => torch.linear(x, w, b));
        found.forEach((x, i) => {
          const truth = wanted[i]!;
          const error = x!.to('float64').sub(truth).abs().max().item();
          expect(error).toBeLessThan(3e-6 * truth.abs().max().item());
        });
      }
    });
  });

  it('has the right gradients of both orders in float64', () => {
    torch.scope(() => {
      const x = torch.randn([2, 3, 4], { dtype: 'float64', device }).requiresGrad_();
      const weight = torch.randn([5, 4], { dtype: 'float64', device }).requiresGrad_();
      const bias = torch.randn([5], { dtype: 'float64', device }).requiresGrad_();
      gradcheck((a, w, b) => linear(a, w, b), [x, weight, bias]);
    });
  });

  it('can be differentiated twice at every size', () => {
    torch.scope(() => {
      for (const rows of [3, 4000]) {
        const x = torch.randn([rows, 16], { device }).requiresGrad_();
        const weight = torch.randn([8, 16], { device }).requiresGrad_();
        const second = (f: typeof linear) => {
          const y = f(x, weight).pow(3).sum();
          const [dx] = torch.grad([y], [x], { createGraph: true });
          return torch.grad([dx!.pow(2).sum()], [weight])[0]!;
        };
        const wanted = second((a, w) => torch.linear(a, w));
        const scale = wanted.abs().max().item();
        expect(second(linear)).toBeCloseToTensor(wanted, { atol: 1e-5 * scale });
      }
    });
  });

  it('takes what is not contiguous, and half precision', () => {
    torch.scope(() => {
      const x = torch.randn([64, 40, 200], { device }).transpose(1, 2);
      const weight = torch.randn([40, 48], { device }).t();
      expect(linear(x, weight)).toBeCloseToTensor(torch.linear(x, weight), { atol: 1e-4 });
      const half = linear(x.to('bfloat16'), weight.to('bfloat16'));
      expect(half.dtype).toBe('bfloat16');
    });
  });

  it('gives the same numbers each time', () => {
    torch.scope(() => {
      const x = torch.randn([3000, 64], { device });
      const weight = torch.randn([96, 64], { device });
      const first = linear(x, weight);
      for (let k = 0; k < 3; k++) expect(linear(x, weight).equal(first)).toBe(true);
    });
  });

  it('names the operator when the shapes do not fit', () => {
    torch.scope(() => {
      const x = torch.randn([4000, 16], { device });
      expect(() => linear(x, torch.randn([8, 17], { device }))).toThrow(/m3l::linear/);
      expect(() =>
        linear(x, torch.randn([80, 16], { device }), torch.randn([3], { device })),
      ).toThrow(/m3l::linear/);
    });
  });
});
