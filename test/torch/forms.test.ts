import { torch } from 'm3l';
import { describe, expect, it } from 'vitest';

const grid = () => torch.arange(6).reshape(2, 3);

describe('forms of arguments and results', () => {
  it('01 several results have names, and are an array', () =>
    torch.scope(() => {
      const x = torch.tensor([3, 1, 2]);
      const { values, indices } = x.topk(2);
      const [first, second] = x.topk(2);
      expect([values.toArray(), indices.toArray()]).toEqual([first.toArray(), second.toArray()]);
      const { U, S, Vh } = torch.linalg.svd(torch.eye(2));
      expect([U.shape, S.toArray(), Vh.shape]).toEqual([
        [2, 2],
        [1, 1],
        [2, 2],
      ]);
      const results = x.sort();
      expect([Array.isArray(results), results.length, [...results].length]).toEqual([true, 2, 2]);
      expect(results.map((t) => t.dtype)).toEqual(['float32', 'int64']);
      const { hist, binEdges } = torch.histogram(x, 2);
      expect([hist.shape, binEdges.shape]).toEqual([[2], [3]]);
      // Names of the schema only where it has them.
      expect(torch.varMean(x)).toHaveLength(2);
    }));

  it('02 sizes are an array or several numbers, with options after them', () =>
    torch.scope(() => {
      const x = grid();
      const shapes = [
        x.reshape(3, 2),
        x.reshape([3, 2]),
        x.view(3, -1),
        x.permute(1, 0),
        x.expand(4, 2, 3),
        x.repeat(2, 1),
        x.flip(0, 1),
        torch.zeros(2, 3),
        torch.ones(2, 3, { dtype: 'int32' }),
        torch.rand(4),
        x.newZeros(1, 2),
      ].map(({ shape }) => shape.join());
      expect(shapes.join(' ')).toBe('3,2 3,2 3,2 3,2 4,2,3 4,3 2,3 2,3 2,3 4 1,2');
      expect(torch.ones(2, 3, { dtype: 'int32' }).dtype).toBe('int32');
      expect(() => x.reshape(2.5, 2)).toThrow(/size|shape/);
    }));

  it('03 lists of tensors that come last may be several arguments', () =>
    torch.scope(() => {
      const [a, b] = [torch.ones(1, 2), torch.ones(2, 1)];
      expect(torch.blockDiag(a, b).shape).toEqual([3, 3]);
      expect(torch.broadcastTensors(a, b).map((t) => t.shape.join())).toEqual(['2,2', '2,2']);
      expect(torch.meshgrid(a.flatten(), b.flatten(), { indexing: 'ij' })).toHaveLength(2);
      expect(torch.einsum('ij,jk->ik', a, b).item()).toBe(2);
      expect(torch.einsum('ij,jk->ik', [a, b]).item()).toBe(2);
    }));

  it('04 enumerations are words, whatever the dispatcher takes', () =>
    torch.scope(() => {
      const [x, y] = [torch.tensor([1, 2]), torch.tensor([3, 2])];
      expect(torch.mseLoss(x, y, { reduction: 'sum' }).item()).toBe(4);
      expect(torch.mseLoss(x, y, 'none').toArray()).toEqual([4, 0]);
      expect(torch.mseLoss(x, y, 2).item()).toBe(4);
      expect(() => torch.mseLoss(x, y, { reduction: 'max' as never })).toThrow(
        /reduction.*'none', 'mean', 'sum'.*'max'/,
      );
      const image = torch.arange(4).reshape(1, 1, 2, 2).float();
      const corners = torch.tensor([[[[-1, -1]]]]);
      expect(torch.gridSampler(image, corners, 'nearest', 'border', true).item()).toBe(0);
      expect(x.div(y, { roundingMode: 'floor' }).toArray()).toEqual([0, 1]);
    }));

  it('05 what makes a tensor takes requiresGrad', () =>
    torch.scope(() => {
      for (const made of [
        torch.zeros(2, { requiresGrad: true }),
        torch.randn([2], { requiresGrad: true }),
        torch.full([2], 1, { requiresGrad: true }),
        torch.linspace(0, 1, 2, { requiresGrad: true }),
        torch.zerosLike(torch.ones(2), { requiresGrad: true }),
        torch.ones(2).newFull([2], 1, { requiresGrad: true }),
      ]) {
        expect([made.requiresGrad, made.isLeaf]).toEqual([true, true]);
      }
      expect(torch.zeros(2, { requiresGrad: false }).requiresGrad).toBe(false);
      expect(() => torch.zeros(2, { requiresGrad: 1 as never })).toThrow(/requires_grad.*boolean/);
      expect(() => torch.zeros(2, { dtype: 'int64', requiresGrad: true })).toThrow(/floating/);
    }));

  it('06 a number may come before the tensor, and keeps its dtype as Python does', () =>
    torch.scope(() => {
      const x = torch.tensor([1, 2, 4]);
      expect(torch.sub(1, x).toArray()).toEqual([0, -1, -3]);
      expect(torch.div(4, x).toArray()).toEqual([4, 2, 1]);
      expect(torch.add(1, x, { alpha: 2 }).toArray()).toEqual([3, 5, 9]);
      const whole = x.to('int32');
      expect(torch.mul(2, whole).dtype).toBe('int32');
      expect(torch.mul(2.5, whole).dtype).toBe('float32');
      expect(torch.mul(torch.scalar(2), whole).dtype).toBe('float32');
      expect(torch.sub(1, x.double()).dtype).toBe('float64');
      const w = torch.ones(2, { requiresGrad: true });
      torch.div(6, w).sum().backward();
      expect(w.grad!.toArray()).toEqual([-6, -6]);
    }));

  it('07 conversions and transposed views by their short names', () =>
    torch.scope(() => {
      const x = grid();
      const names = [
        'float',
        'double',
        'half',
        'bfloat16',
        'int',
        'long',
        'short',
        'bool',
      ] as const;
      expect(names.map((name) => x[name]().dtype).join(' ')).toBe(
        'float32 float64 float16 bfloat16 int32 int64 int16 bool',
      );
      expect(x.T.toArray()).toEqual(x.t().toArray());
      expect(x.T.sameStorage(x)).toBe(true);
      expect(x.reshape(1, 2, 3).mT.shape).toEqual([1, 3, 2]);
      const z = torch.complex(x.float(), x.float());
      expect(torch.imag(torch.resolveConj(z.H)).toArray()).toEqual([
        [-0, -3],
        [-1, -4],
        [-2, -5],
      ]);
    }));

  it('08 `to` in every form of Python', () =>
    torch.scope(() => {
      const x = torch.ones(2);
      const other = torch.ones(1, { dtype: 'float64' });
      for (const y of [
        x.to('float64'),
        x.to('cpu', 'float64'),
        x.to(other),
        x.to('float64', true, true),
        x.to('cpu', 'float64', false, { copy: true }),
        x.to({ dtype: 'float64', device: 'cpu' }),
        x.to('float64', { memoryFormat: 'preserve' }),
      ]) {
        expect(y.dtype).toBe('float64');
      }
      expect(x.to('float32').sameStorage(x)).toBe(true);
      expect(x.to('float32', false, true).sameStorage(x)).toBe(false);
      expect(() => x.to('float32', 'float64' as never)).toThrow(/dtype is given twice/);
      expect(() => x.to(true as never)).toThrow(/expected a dtype/);
      expect(() => x.to('float32', true, true, true as never)).toThrow(/third flag/);
      expect(() => x.to({ type: 'x' } as never)).toThrow(/'type'/);
    }));

  it('09 null by name is null, where that is not the default', () =>
    torch.scope(() => {
      const image = torch.ones(1, 1, 4, 4);
      const resize = torch.ops.aten!._upsample_bilinear2d_aa!;
      const by = { outputSize: [2, 2], alignCorners: false, scaleFactors: null };
      expect((resize(image, by) as torch.Tensor).shape).toEqual([1, 1, 2, 2]);
    }));

  it('10 types say which forms there are', () => {
    const x = undefined as unknown as torch.Tensor;
    const compiles = () => {
      const { values } = x.max(0);
      values.add(1);
      const [q, r]: [torch.Tensor, torch.Tensor] = torch.linalg.qr(x, 'reduced');
      x.kthvalue({ k: 2, dim: 1 }).values.add(q).add(r);
      // @ts-expect-error: no such word
      torch.mseLoss(x, x, { reduction: 'average' });
      // @ts-expect-error: no such mode
      torch.linalg.qr(x, 'thin');
      // @ts-expect-error: no such field
      x.topk(2).places.add(1);
      // @ts-expect-error: k is needed
      x.kthvalue({ dim: 1 });
      // @ts-expect-error: the flat names are those of namespaces
      torch.linalgSvd(x);
      // @ts-expect-error: sizes are numbers
      x.reshape('2', 3);
      // @ts-expect-error: a size is needed
      torch.zeros();
      const gradients: torch.Tensor[] = torch.grad(x.sum(), [x]);
      const [unused] = torch.grad(x.sum(), [x], { allowUnused: true });
      // @ts-expect-error: may be null
      unused.add(gradients[0]!);
      torch.ops.m3l.linear(x, x).add(1);
      torch.ops.m3l.linear.async(x, x).then((y) => y.add(1));
      // @ts-expect-error: a bias is a tensor
      torch.ops.m3l.linear(x, x, 1);
      // @ts-expect-error: no such operator
      torch.ops.m3l.lineal(x, x);
    };
    expect(compiles).toBeTypeOf('function');
  });
});
