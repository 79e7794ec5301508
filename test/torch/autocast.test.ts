import { torch } from 'm3l';
import { describe, expect, it } from 'vitest';

describe('autocast', () => {
  it('computes products narrow and sums in float32, and ends with the region', () => {
    torch.scope(() => {
      const x = torch.randn([8, 16]);
      const weight = torch.randn([4, 16]);
      torch.autocast({ dtype: 'bfloat16' }, () => {
        expect(torch.isAutocastEnabled()).toBe(true);
        expect(torch.linear(x, weight).dtype).toBe('bfloat16');
        expect(x.mm(weight.t()).dtype).toBe('bfloat16');
        expect(x.sum().dtype).toBe('float32');
        torch.autocast({ dtype: 'float32' }, () => {
          expect(torch.isAutocastEnabled()).toBe(false);
          expect(x.mm(weight.t()).dtype).toBe('float32');
        });
        expect(torch.isAutocastEnabled()).toBe(true);
      });
      expect(torch.isAutocastEnabled()).toBe(false);
      expect(x.mm(weight.t()).dtype).toBe('float32');
    });
  });

  it('gives the gradients of float32 weights in float32', () => {
    torch.scope(() => {
      const x = torch.randn([64, 32]);
      const weight = torch.randn([8, 32]).requiresGrad_();
      const loss = torch.autocast({ dtype: 'bfloat16' }, () => torch.linear(x, weight).pow(2));
      const [found] = torch.grad([loss.to('float32').sum()], [weight]);
      const [wanted] = torch.grad([torch.linear(x, weight).pow(2).sum()], [weight]);
      expect(found!.dtype).toBe('float32');
      const error = found!.sub(wanted!).norm().item() / wanted!.norm().item();
      expect(error).toBeGreaterThan(0);
      expect(error).toBeLessThan(0.02);
    });
  });

  it('ends with an error, and refuses a promise', () => {
    expect(() =>
      torch.autocast({ dtype: 'bfloat16' }, () => {
        throw new Error('inside');
      }),
    ).toThrow('inside');
    expect(() => torch.autocast({ dtype: 'bfloat16' }, async () => 1)).toThrow(/synchronous/);
    expect(torch.isAutocastEnabled()).toBe(false);
  });

  it('refuses what no product should be computed in', () => {
    const wrong = (dtype: string) => () =>
      torch.autocast({ dtype: dtype as torch.AutocastDType }, () => 1);
    expect(wrong('int32')).toThrow(/'int32', expected one of bfloat16, float16, float32/);
    expect(wrong('nonsense')).toThrow(/expected one of bfloat16/);
    expect(torch.isAutocastEnabled()).toBe(false);
  });

  it("casts for the project's own operators", () => {
    torch.scope(() => {
      const { m3l } = torch.ops;
      const tokens = torch.randn([4, 6, 8]);
      const weight = torch.randn([8, 1, 3, 3]);
      const [ones, zeros] = [torch.ones([2, 8]), torch.zeros([2, 8])];
      const half = tokens.to('bfloat16');
      torch.autocast({ dtype: 'bfloat16' }, () => {
        const convolved = m3l!.token_dwconv_gelu!(tokens, weight, torch.zeros([8]), 2, 3);
        expect((convolved as torch.Tensor).dtype).toBe('bfloat16');
        const [sum, normal] = m3l!.fuse_residual_norm!(
          ...([tokens, half, null, ones, zeros, 2, 0.8, 1e-6] as const),
        ) as torch.Tensor[];
        expect([sum!.dtype, normal!.dtype]).toEqual(['float32', 'bfloat16']);
        // What is not of the region's dtype is cast, the rest of the sum as ever.
        const [, wide] = m3l!.fuse_residual_norm!(
          ...([half, tokens.to('float16'), null, ones, zeros, 2, 0.8, 1e-6] as const),
        ) as torch.Tensor[];
        expect(wide!.dtype).toBe('float32');
        const add = (base: torch.Tensor, map: torch.Tensor) =>
          m3l!.upsample_sum!(base, [map], [1, 3], 2, 3, true) as torch.Tensor;
        const small = half.narrow(1, 0, 3);
        expect(add(half, small).dtype).toBe('bfloat16');
        expect(add(tokens, small).dtype).toBe('float32');
        expect(add(half, small.to('float32')).dtype).toBe('float32');
        const logits = torch.randn([1, 3, 4, 4]).to('bfloat16');
        const labels = m3l!.upsample_argmax!(logits, [8, 8]) as torch.Tensor;
        expect(labels.shape).toEqual([1, 8, 8]);
      });
    });
  });
});
