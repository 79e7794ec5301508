import { torch } from 'm3l';
import { describe, expect, it } from 'vitest';
import { gradcheck } from '../helpers/gradcheck.js';

const devices = torch.cuda.isAvailable() ? ['cpu', 'cuda'] : ['cpu'];
if (devices.length === 1) console.log('linear_fuse on CUDA: skipped, no GPU here');

const fuse = (x: torch.Tensor, modalities: number, ratio: number) =>
  torch.ops.m3l!.linear_fuse!(x, modalities, ratio) as torch.Tensor;

/** By the matrix that mixes the modalities. */
function composed(x: torch.Tensor, modalities: number, ratio: number): torch.Tensor {
  const other = (1 - ratio) / (modalities - 1);
  const mixing = torch
    .eye(modalities, { dtype: x.dtype, device: x.device })
    .mul(ratio - other)
    .add(other);
  return mixing.mm(x.reshape([modalities, -1])).view([...x.shape]);
}

describe.each(devices)('linear_fuse on %s', (device) => {
  it.each([
    [2, [6, 5, 32]],
    [2, [2, 1, 1]],
    [2, [4, 7, 13]],
    [3, [6, 3, 20]],
    [5, [5, 9, 7]],
  ])('is the mixing of %i modalities, %j', (modalities, shape) => {
    torch.scope(() => {
      for (const ratio of [0.8, 0.35]) {
        const x = torch.randn(shape, { device }).requiresGrad_();
        const y = fuse(x, modalities, ratio);
        const expected = composed(x, modalities, ratio);
        expect(y).toBeCloseToTensor(expected, { atol: 1e-6 });
        const seed = torch.randn(shape, { device });
        const [found] = torch.grad([y], [x], { gradOutputs: [seed] });
        const [wanted] = torch.grad([expected], [x], { gradOutputs: [seed] });
        expect(found!).toBeCloseToTensor(wanted!, { atol: 1e-6 });
      }
    });
  });

  it.each(['bfloat16', 'float16'] as const)('computes %s in float', (dtype) => {
    torch.scope(() => {
      for (const [modalities, shape] of [
        [2, [4, 5, 24]],
        [3, [6, 3, 7]],
      ] as const) {
        const x = torch.randn([...shape], { device }).to(dtype);
        const expected = composed(x.to('float32'), modalities, 0.8);
        const error = fuse(x, modalities, 0.8).to('float32').sub(expected).abs().max().item();
        expect(error).toBeLessThan(0.01 * expected.abs().max().item());
      }
    });
  });

  it('takes what is not contiguous', () => {
    torch.scope(() => {
      const x = torch.randn([4, 6, 5], { device }).transpose(1, 2);
      expect(fuse(x, 2, 0.8)).toBeCloseToTensor(composed(x, 2, 0.8), { atol: 1e-6 });
    });
  });

  it('has the right gradients, the second too', () => {
    torch.scope(() => {
      const x = torch.randn([6, 2, 3], { dtype: 'float64', device }).requiresGrad_();
      gradcheck((x) => fuse(x, 3, 0.7).pow(2), [x]);
      const [first] = torch.grad([fuse(x, 2, 0.7).pow(3).sum()], [x], { createGraph: true });
      const [second] = torch.grad([first!.sum()], [x]);
      const [wanted] = torch.grad([composed(x, 2, 0.7).pow(3).sum()], [x], { createGraph: true });
      expect(second!).toBeCloseToTensor(torch.grad([wanted!.sum()], [x])[0]!);
    });
  });

  it('names itself where arguments do not fit', () => {
    torch.scope(() => {
      const x = torch.randn([3, 4, 8], { device });
      expect(() => fuse(x, 2, 0.8)).toThrow(/linear_fuse: tokens are \[3, 4, 8\].*M = 2/);
      expect(() => fuse(x, 1, 0.8)).toThrow(/linear_fuse: 1 modalities, expected at least 2/);
      expect(() => fuse(x.to('int64'), 3, 0.8)).toThrow(/linear_fuse/);
    });
  });
});
