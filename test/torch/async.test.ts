import { torch } from 'm3l';
import { describe, expect, it } from 'vitest';

const { aten } = torch.ops as unknown as Record<string, Record<string, torch.OperatorFunction>>;
type Tensor = torch.Tensor;

describe('asynchronous calls', () => {
  it('01 give what the synchronous ones give, to the scope that awaits them', async () => {
    const before = torch.memory().tensors;
    const kept = await torch.scope(async () => {
      const a = torch.randn([40, 30]);
      const b = torch.randn([30, 20]);
      const product = (await aten!.mm!.async(a, b)) as Tensor;
      expect(product.toArray()).toEqual((aten!.mm!(a, b) as Tensor).toArray());
      const [values, indices] = (await aten!.max!.dim!.async(a, 0)) as [Tensor, Tensor];
      expect([values.shape, indices.dtype]).toEqual([[30], 'int64']);
      return product;
    });
    expect(torch.memory().tensors).toBe(before + 1);
    kept.dispose();
  });

  it('02 let the event loop go on', async () => {
    const a = torch.detached(() => torch.randn([700, 700]));
    let turns = 0;
    let done = false;
    const turn = () => {
      turns += 1;
      if (!done) setImmediate(turn);
    };
    setImmediate(turn);
    await torch.scope(async () => {
      await Promise.all([1, 2, 3].map(() => aten!.mm!.async(a, a)));
    });
    done = true;
    // One that computed here would let it turn once or twice.
    expect(turns).toBeGreaterThan(20);
    a.dispose();
  });

  it('03 reject with the errors of the synchronous ones', async () => {
    await torch.scope(async () => {
      const [a, b] = [torch.ones([2, 3]), torch.ones([2, 3])];
      await expect(aten!.mm!.async(a, b)).rejects.toMatchObject({ code: 'M3L_TORCH' });
      await expect(aten!.mm!.async(a)).rejects.toThrow(/'mat2' is missing/);
      b.dispose();
      await expect(aten!.mm!.async(a, b)).rejects.toMatchObject({ code: 'M3L_DISPOSED' });
      const huge = aten!.empty!.memory_format!.async([2 ** 45]);
      await expect(huge).rejects.toMatchObject({ code: 'M3L_OUT_OF_MEMORY' });
    });
  });

  it('04 write in place and give the argument back', async () => {
    await torch.scope(async () => {
      const x = torch.zeros([3]);
      expect(await aten!.add_!.async(x, torch.ones([3]))).toBe(x);
      expect(x.toArray()).toEqual([1, 1, 1]);
    });
  });

  it('05 keep the modes of where they began', async () => {
    await torch.scope(async () => {
      const x = torch.ones([2]).requiresGrad_();
      const begun: Promise<unknown>[] = [];
      torch.noGrad(() => void begun.push(aten!.exp!.async(x)));
      begun.push(aten!.exp!.async(x));
      const [without, recorded] = (await Promise.all(begun)) as [Tensor, Tensor];
      expect([without.requiresGrad, recorded.requiresGrad]).toEqual([false, true]);
    });
  });

  it('06 differentiate and copy', async () => {
    await torch.scope(async () => {
      const x = torch.tensor([1, 2]).requiresGrad_();
      const y = x.square().sum();
      await y.backwardAsync();
      expect(x.grad!.toArray()).toEqual([2, 4]);
      await expect(y.backwardAsync()).rejects.toThrow(/retainGraph: true/);
      expect(await x.toTypedArrayAsync()).toEqual(new Float32Array([1, 2]));
      const narrow = torch.tensor([[1, 2]], { dtype: 'int16' }).t();
      expect(await narrow.toTypedArrayAsync()).toEqual(new Int16Array([1, 2]));
    });
  });

  it('07 hold their arguments, whatever becomes of the scope', async () => {
    let sum!: Promise<unknown>;
    torch.scope(() => {
      sum = aten!.sum!.async(torch.ones([100_000]));
    });
    const tensor = (await sum) as Tensor;
    expect(tensor.item()).toBe(100_000);
    tensor.dispose();
  });
});
