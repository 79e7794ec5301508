import { torch } from 'm3l';
import { describe, expect, it } from 'vitest';
import { gradcheck } from '../helpers/gradcheck.js';
import { cases, composedNorm, eps, randomArguments } from '../helpers/residual-norm.js';

type Tensor = torch.Tensor;
const devices = torch.cuda.isAvailable() ? ['cpu', 'cuda'] : ['cpu'];
if (devices.length === 1) console.log('modality_norm on CUDA: skipped, no GPU here');

const modalityNorm = (x: Tensor, weight: Tensor, bias: Tensor, modalities: number) =>
  torch.ops.m3l!.modality_norm!(x, weight, bias, modalities, eps) as Tensor;

describe.each(devices)('modality_norm on %s', (device) => {
  it.each(cases.filter(({ shape }) => shape[3] > 1))('is a LayerNorm each, $shape', (given) => {
    torch.scope(() => {
      const { residual: x, weight, bias, modalities } = randomArguments(given, device);
      const found = modalityNorm(x, weight, bias, modalities);
      const wanted = composedNorm(x, weight, bias, modalities);
      expect(found).toBeCloseToTensor(wanted, { rtol: 2e-5, atol: 2e-5 });
      const gradOutputs = [torch.randn([...x.shape], { device })];
      const inputs = [x, weight, bias];
      const expected = torch.grad([wanted], inputs, { gradOutputs });
      for (const [i, gradient] of torch.grad([found], inputs, { gradOutputs }).entries()) {
        expect(gradient!).toBeCloseToTensor(expected[i]!, { rtol: 1e-4, atol: 2e-4 });
      }
    });
  });

  it('takes tokens that are a view of an image, and works without gradients', () => {
    torch.scope(() => {
      const x = torch.randn([4, 8, 3, 5], { device }).permute([0, 2, 3, 1]).flatten(1, 2);
      const [weight, bias] = [torch.randn([2, 8], { device }), torch.randn([2, 8], { device })];
      const wanted = composedNorm(x, weight, bias, 2);
      const run = () => modalityNorm(x, weight, bias, 2);
      for (const found of [run(), torch.noGrad(run), torch.inferenceMode(run)]) {
        expect(found).toBeCloseToTensor(wanted, { rtol: 2e-5, atol: 2e-5 });
      }
    });
  });

  it('has the right gradients', () => {
    torch.scope(() => {
      const leaf = (size: number[]) =>
        torch.randn(size, { dtype: 'float64', device }).requiresGrad_();
      gradcheck(
        (x, weight, bias) => modalityNorm(x!, weight!, bias!, 2).pow(2),
        [leaf([4, 3, 5]), leaf([2, 5]), leaf([2, 5])],
      );
    });
  });

  it('refuses what does not fit', () => {
    torch.scope(() => {
      const x = torch.randn([4, 3, 5], { device });
      const affine = torch.ones([3, 5], { device });
      expect(() => modalityNorm(x, affine, affine, 2)).toThrow(/weight or bias is .*\[3, 5\]/);
    });
  });
});
