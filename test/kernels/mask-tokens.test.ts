import { torch } from 'm3l';
import { describe, expect, it } from 'vitest';
import { gradcheck } from '../helpers/gradcheck.js';

type Tensor = torch.Tensor;
const devices = torch.cuda.isAvailable() ? ['cpu', 'cuda'] : ['cpu'];
if (devices.length === 1) console.log('mask_tokens on CUDA: skipped, no GPU here');

const maskTokens = (tokens: Tensor, token: Tensor, mask: Tensor) =>
  torch.ops.m3l!.mask_tokens!(tokens, token, mask) as Tensor;

/** The mask [R] or [R, N] as [R, 1 or N, 1]. */
const composed = (tokens: Tensor, token: Tensor, mask: Tensor) =>
  torch.where(mask.view([tokens.shape[0]!, -1, 1]), token, tokens);

describe.each(devices)('mask_tokens on %s', (device) => {
  it.each([
    [4, 6, 32],
    [3, 1, 1],
    [5, 130, 13],
    [1, 3, 20],
    [2, 700, 64],
  ])('is the selection, [%i, %i, %i], with its gradients', (rows, count, channels) => {
    torch.scope(() => {
      for (const shape of [[rows], [rows, count]]) {
        const mask = torch.rand(shape, { device }).lt(0.5);
        const tokens = torch.randn([rows, count, channels], { device }).requiresGrad_();
        const token = torch.randn([channels], { device }).requiresGrad_();
        const y = maskTokens(tokens, token, mask);
        const expected = composed(tokens, token, mask);
        expect(y.equal(expected)).toBe(true);
        const gradOutputs = [torch.randn([rows, count, channels], { device })];
        const found = torch.grad([y], [tokens, token], { gradOutputs });
        const wanted = torch.grad([expected], [tokens, token], { gradOutputs });
        expect(found[0]!.equal(wanted[0]!)).toBe(true);
        expect(found[1]!).toBeCloseToTensor(wanted[1]!, { rtol: 1e-4, atol: 1e-4 });
        const again = torch.grad([maskTokens(tokens, token, mask)], [token], { gradOutputs });
        expect(again[0]!.equal(found[1]!)).toBe(true);
      }
    });
  });

  it('lets nothing of a masked token through, NaN included', () => {
    torch.scope(() => {
      const mask = torch.tensor([true, false], { dtype: 'bool', device });
      const tokens = torch.randn([2, 3, 5], { device });
      tokens.select(0, 0).fill_(Number.NaN);
      tokens.requiresGrad_();
      const token = torch.randn([5], { device }).requiresGrad_();
      const y = maskTokens(tokens, token, mask);
      expect(y.isfinite().all().item()).toBeTruthy();
      const seed = torch.ones([2, 3, 5], { device });
      // What flows back to a token that was not taken is not taken either.
      const [first] = torch.grad([y], [tokens], {
        gradOutputs: [torch.where(mask.view([2, 1, 1]), Number.NaN, seed)],
        retainGraph: true,
      });
      expect(first!.select(0, 0).eq(0).all().item()).toBeTruthy();
      const [, second] = torch.grad([y], [tokens, token], {
        gradOutputs: [torch.where(mask.view([2, 1, 1]), seed, Number.NaN)],
      });
      expect(second!).toBeCloseToTensor(torch.full([5], 3, { device }));
    });
  });

  it('takes tokens of half precision and a token of float', () => {
    torch.scope(() => {
      for (const dtype of ['bfloat16', 'float16'] as const) {
        const mask = torch.tensor([true, false], { dtype: 'bool', device });
        const tokens = torch.randn([2, 3, 8], { device }).to(dtype);
        const token = torch.randn([8], { device }).requiresGrad_();
        const y = maskTokens(tokens, token, mask);
        expect(y.equal(composed(tokens, token.to(dtype), mask))).toBe(true);
        y.to('float32').sum().backward();
        expect(token.grad!).toBeCloseToTensor(torch.full([8], 3, { device }));
      }
    });
  });

  it('works without gradients', () => {
    torch.scope(() => {
      const mask = torch.tensor([true, false], { dtype: 'bool', device });
      const [tokens, token] = [torch.randn([2, 4, 4], { device }), torch.randn([4], { device })];
      const expected = composed(tokens, token, mask);
      expect(torch.noGrad(() => maskTokens(tokens, token, mask)).equal(expected)).toBe(true);
      expect(torch.inferenceMode(() => maskTokens(tokens, token, mask)).equal(expected)).toBe(true);
    });
  });

  it('has the right gradients', () => {
    torch.scope(() => {
      const mask = torch.rand([3, 4], { device }).lt(0.5);
      const tokens = torch.randn([3, 4, 3], { dtype: 'float64', device }).requiresGrad_();
      const token = torch.randn([3], { dtype: 'float64', device }).requiresGrad_();
      gradcheck((x, t) => maskTokens(x!, t!, mask).pow(2), [tokens, token]);
    });
  });

  it('names itself where arguments do not fit', () => {
    torch.scope(() => {
      const [tokens, token] = [torch.randn([2, 4, 3], { device }), torch.randn([3], { device })];
      const mask = torch.zeros([2], { dtype: 'bool', device });
      expect(() => maskTokens(tokens, token, mask.to('float32'))).toThrow(
        /mask_tokens: mask is Float/,
      );
      expect(() => maskTokens(tokens, token, mask.view([1, 2]))).toThrow(/mask_tokens: mask/);
      expect(() => maskTokens(tokens, torch.randn([4], { device }), mask)).toThrow(
        /mask_tokens: token is .*\[4\].*expected .*\[3\]/,
      );
      expect(() => maskTokens(token, token, mask)).toThrow(/mask_tokens: tokens are .*\[3\]/);
    });
  });
});
