import { torch } from 'm3l';
import { describe, expect, it } from 'vitest';

describe('overloads', () => {
  it('01 add: Tensor, Scalar, with alpha by name', () =>
    torch.scope(() => {
      const x = torch.tensor([1, 2]);
      expect(x.add(x).toArray()).toEqual([2, 4]);
      expect(x.add(x, { alpha: 3 }).toArray()).toEqual([4, 8]);
      expect(x.add(1).toArray()).toEqual([2, 3]);
      expect(x.add(1, 2).toArray()).toEqual([3, 4]);
      expect(x.add(1, { alpha: 2 }).toArray()).toEqual([3, 4]);
      expect(x.add(true).toArray()).toEqual([2, 3]);
      expect(torch.add(x, x).toArray()).toEqual([2, 4]);
      expect(x.add({ other: 5 } as never).toArray()).toEqual([6, 7]);
    }));

  it('02 integral numbers are integers, others are not, bigints always', () =>
    torch.scope(() => {
      const x = torch.tensor([1n, 2n]);
      expect([x.mul(2).dtype, x.mul(2.5).dtype, x.mul(2n).dtype]).toEqual([
        'int64',
        'float32',
        'int64',
      ]);
      expect(x.add(2n ** 60n).toTypedArray()).toEqual(
        new BigInt64Array([2n ** 60n + 1n, 2n ** 60n + 2n]),
      );
    }));

  it('03 sum: all, a dimension, several, keepdim, by name', () =>
    torch.scope(() => {
      const x = torch.arange(6).reshape([2, 3]);
      expect(x.sum().item()).toBe(15);
      expect(x.sum(1).toArray()).toEqual([3, 12]);
      expect(x.sum([0, 1]).item()).toBe(15);
      expect(x.sum([1], true).shape).toEqual([2, 1]);
      expect(x.sum({ dim: [0], keepdim: true }).toArray()).toEqual([[3, 5, 7]]);
      expect(x.sum([0], { keepdim: true }).shape).toEqual([1, 3]);
      expect(x.sum({ dtype: 'float64' }).dtype).toBe('float64');
      expect(x.sum(null).item()).toBe(15);
      expect(x.sum(undefined).item()).toBe(15);
      expect(torch.sum(x, 0).toArray()).toEqual([3, 5, 7]);
    }));

  it('04 max: of all, along a dimension, of two', () =>
    torch.scope(() => {
      const x = torch.tensor([
        [1, 5],
        [7, 2],
      ]);
      expect(x.max().item()).toBe(7);
      const [values, indices] = x.max(1);
      expect([values.toArray(), indices.toArray()]).toEqual([
        [5, 7],
        [1, 0],
      ]);
      expect(x.max(0, true)[0].shape).toEqual([1, 2]);
      expect(x.max(0, { keepdim: true })[0].shape).toEqual([1, 2]);
      expect(x.max(torch.full([2, 2], 4)).toArray()).toEqual([
        [4, 5],
        [7, 4],
      ]);
    }));

  it('05 where: tensors, scalars on either side, and alone', () =>
    torch.scope(() => {
      const c = torch.tensor([true, false]);
      const x = torch.tensor([1, 2]);
      expect(torch.where(c, x, x.neg()).toArray()).toEqual([1, -2]);
      expect(torch.where(c, x, 0).toArray()).toEqual([1, 0]);
      expect(torch.where(c, 0, x).toArray()).toEqual([0, 2]);
      expect(torch.where(c, 1, 0).toArray()).toEqual([1, 0]);
      expect(torch.where(c).map((i) => i.toArray())).toEqual([[0]]);
    }));

  it('06 pow: each of the two may be a number', () =>
    torch.scope(() => {
      const x = torch.tensor([1, 2, 3]);
      expect(x.pow(2).toArray()).toEqual([1, 4, 9]);
      expect(x.pow(x).toArray()).toEqual([1, 4, 27]);
      expect(torch.pow(2, x).toArray()).toEqual([2, 4, 8]);
      expect(x.pow(-1)).toBeCloseToTensor([1, 1 / 2, 1 / 3]);
    }));

  it('07 std: unbiased, along dimensions, with a correction', () =>
    torch.scope(() => {
      const x = torch.tensor(
        [
          [1, 2],
          [3, 6],
        ],
        { dtype: 'float64' },
      );
      expect(x.std(false).item()).toBeCloseTo(Math.sqrt(3.5));
      expect(x.std([1]).toArray()).toEqual([Math.SQRT1_2, Math.sqrt(4.5)]);
      expect(x.std([1], { correction: 0 }).toArray()).toEqual([0.5, 1.5]);
      expect(x.std({ dim: [1], correction: 0, keepdim: true }).shape).toEqual([2, 1]);
      expect(torch.var(x, false).item()).toBeCloseTo(3.5);
    }));

  it('08 div with and without a rounding mode', () =>
    torch.scope(() => {
      const x = torch.tensor([-7n, 7n]);
      expect(x.div(2).toArray()).toEqual([-3.5, 3.5]);
      expect(x.div(2, { roundingMode: 'floor' }).toArray()).toEqual([-4, 3]);
      expect(x.div(torch.tensor([2n]), { roundingMode: 'trunc' }).toArray()).toEqual([-3, 3]);
    }));

  it('09 clamp with one bound, both, or tensors', () =>
    torch.scope(() => {
      const x = torch.tensor([-1, 0.5, 3]);
      expect(x.clamp(0, 1).toArray()).toEqual([0, 0.5, 1]);
      expect(x.clamp({ max: 1 }).toArray()).toEqual([-1, 0.5, 1]);
      expect(x.clamp(0).toArray()).toEqual([0, 0.5, 3]);
      expect(x.clamp(null, 1).toArray()).toEqual([-1, 0.5, 1]);
      expect(x.clamp(torch.tensor([0, 1, 2])).toArray()).toEqual([0, 1, 3]);
    }));

  it('10 lists: split by a size or by sizes, one number for a list', () =>
    torch.scope(() => {
      const x = torch.arange(6);
      const sizes = (parts: torch.Tensor[]) => parts.map((part) => part.size(0));
      expect(sizes(x.split(4))).toEqual([4, 2]);
      expect(sizes(x.split([1, 2, 3]))).toEqual([1, 2, 3]);
      expect(sizes(x.tensorSplit([2]))).toEqual([2, 4]);
      expect(sizes(x.chunk(3))).toEqual([2, 2, 2]);
      const image = torch.ones([1, 1, 4, 4]);
      expect(torch.avgPool2d(image, 2).shape).toEqual([1, 1, 2, 2]);
      expect(torch.avgPool2d(image, [2, 4]).shape).toEqual([1, 1, 2, 1]);
      expect(image.permute([0, 2, 3, 1]).shape).toEqual([1, 4, 4, 1]);
      expect(torch.cat([x, x]).size(0)).toBe(12);
      expect(torch.stack([x, x], 1).shape).toEqual([6, 2]);
    }));

  it('11 conv2d: numbers, lists, a padding by name, options anywhere', () =>
    torch.scope(() => {
      const x = torch.ones([1, 2, 5, 5]);
      const w = torch.ones([4, 2, 3, 3]);
      const b = torch.zeros([4]);
      expect(torch.conv2d(x, w).shape).toEqual([1, 4, 3, 3]);
      expect(torch.conv2d(x, w, b, [2, 2], [1, 1], [1, 1], 1).shape).toEqual([1, 4, 3, 3]);
      expect(torch.conv2d(x, w, b, 1, 1).shape).toEqual([1, 4, 5, 5]);
      expect(torch.conv2d(x, w, b, { padding: 'same' }).shape).toEqual([1, 4, 5, 5]);
      expect(torch.conv2d(x, w, null, { stride: 2 }).shape).toEqual([1, 4, 2, 2]);
      expect(torch.conv2d(x, w, { padding: 2 }).shape).toEqual([1, 4, 7, 7]);
    }));

  it('12 indexing: index with null, select, narrow, slice, indexPut_', () =>
    torch.scope(() => {
      const x = torch.arange(12).reshape([3, 4]);
      const rows = torch.tensor([2n, 0n]);
      expect(torch.index(x, [rows]).select(0, 0).toArray()).toEqual([8, 9, 10, 11]);
      expect(torch.index(x, [null, rows]).select(0, 0).toArray()).toEqual([2, 0]);
      expect(x.select(1, -1).toArray()).toEqual([3, 7, 11]);
      expect(x.narrow(1, 1, 2).shape).toEqual([3, 2]);
      expect(x.slice(0, 1).shape).toEqual([2, 4]);
      expect(x.slice(1, 0, 4, 2).shape).toEqual([3, 2]);
      const y = x.indexPut_([rows], torch.tensor([0n]));
      expect(y).toBe(x);
      expect(x.sum().item()).toBe(22);
    }));

  it('13 in-place operators return their tensor and make none', () =>
    torch.scope(() => {
      const x = torch.ones([2]);
      const before = torch.memory().tensors;
      expect(x.mul_(2).add_(1).relu_().clamp_(0, 2)).toBe(x);
      expect(x.toArray()).toEqual([2, 2]);
      expect(torch.memory().tensors).toBe(before);
      expect(torch.add(x, x)).not.toBe(x);
    }));

  it('14 foreach operators over lists', () =>
    torch.scope(() => {
      const list = () => [torch.ones([2]), torch.full([1], 3)];
      const a = list();
      torch._foreachAdd_(a, list(), { alpha: 2 });
      expect(a.map((t) => t.toArray())).toEqual([[3, 3], [9]]);
      torch._foreachMul_(a, 2);
      torch._foreachLerp_(a, list(), 1);
      expect(a.map((t) => t.toArray())).toEqual([[1, 1], [3]]);
      torch._foreachMul_(a, [2, 3]);
      expect(torch._foreachNorm(a, 1).map((t) => t.item())).toEqual([4, 9]);
      torch._foreachZero_(a);
      expect(a.map((t) => t.sum().item())).toEqual([0, 0]);
    }));

  it('15 results that are no tensors: booleans, numbers, dtypes', () =>
    torch.scope(() => {
      const x = torch.ones([2]);
      expect(x.equal(torch.ones([2]))).toBe(true);
      expect(torch.resultType(x, torch.ones([1], { dtype: 'float64' }))).toBe('float64');
      expect(torch.promoteTypes('int32', 'float16')).toBe('float16');
      expect(torch.canCast('float32', 'int32')).toBe(false);
      expect(x.dim()).toBe(1);
      expect(x.isFloatingPoint()).toBe(true);
    }));
});

describe('torch.ops', () => {
  it('16 reaches operators and overloads by their names', () =>
    torch.scope(() => {
      const x = torch.tensor([1, 2]);
      const { aten } = torch.ops;
      expect((aten!.add!(x, 1) as torch.Tensor).toArray()).toEqual([2, 3]);
      expect((aten!.add!.Tensor!(x, x, { alpha: 2 }) as torch.Tensor).toArray()).toEqual([3, 6]);
      expect((aten!.relu!.default!(x) as torch.Tensor).toArray()).toEqual([1, 2]);
      expect(() => aten!.add!.Tensor!(x, 1)).toThrow(/'other' must be a Tensor/);
    }));

  it('17 out variants write into and return the given tensor', () =>
    torch.scope(() => {
      const x = torch.tensor([1, 2]);
      const out = torch.zeros([2]);
      expect(torch.ops.aten!.add!.out!(x, x, { out })).toBe(out);
      expect(torch.ops.aten!.mul!(x, x, { out })).toBe(out);
      expect(out.toArray()).toEqual([1, 4]);
      const [values, indices] = [torch.zeros([1]), torch.zeros([1], { dtype: 'int64' })];
      const result = torch.ops.aten!.topk!.values!(x, 1, { values, indices }) as torch.Tensor[];
      expect(result[0]).toBe(values);
      expect(result[1]).toBe(indices);
      expect([values.toArray(), indices.toArray()]).toEqual([[2], [1]]);
    }));

  it('18 underscored operators that have no typed function', () =>
    torch.scope(() => {
      const x = torch.tensor([
        [1, 2],
        [3, 4],
      ]);
      const softmax = torch.ops.aten!._safe_softmax!(x, 1) as torch.Tensor;
      expect(softmax).toBeCloseToTensor(x.softmax(1));
    }));
});
