import { torch } from 'm3l';
import { describe, expect, it } from 'vitest';

describe('tensor', () => {
  it('01 takes its shape from the nesting and is float32', () =>
    torch.scope(() => {
      const x = torch.tensor([
        [1, 2, 3],
        [4, 5, 6],
      ]);
      expect(x.shape).toEqual([2, 3]);
      expect([x.dtype, x.device, x.ndim, x.numel(), x.nbytes]).toEqual([
        'float32',
        'cpu',
        2,
        6,
        24,
      ]);
      expect(x.toArray()).toEqual([
        [1, 2, 3],
        [4, 5, 6],
      ]);
      expect(x.strides).toEqual([3, 1]);
    }));

  it('02 makes a number a tensor without dimensions, bigints int64, booleans bool', () =>
    torch.scope(() => {
      expect(torch.tensor(3).shape).toEqual([]);
      expect(torch.tensor(3).item()).toBe(3);
      expect(torch.tensor([1n, 2n]).dtype).toBe('int64');
      expect(torch.tensor([true, false]).dtype).toBe('bool');
      expect(torch.tensor([]).shape).toEqual([0]);
    }));

  const arrays = [
    ['float32', new Float32Array([1.5, -2, 3e38])],
    ['float64', new Float64Array([1.5, -2, 1e300])],
    ['int8', new Int8Array([-128, 0, 127])],
    ['uint8', new Uint8Array([0, 1, 255])],
    ['int16', new Int16Array([-32768, 0, 32767])],
    ['uint16', new Uint16Array([0, 1, 65535])],
    ['int32', new Int32Array([-(2 ** 31), 0, 2 ** 31 - 1])],
    ['uint32', new Uint32Array([0, 1, 2 ** 32 - 1])],
    ['int64', new BigInt64Array([-(2n ** 63n), 0n, 2n ** 63n - 1n])],
    ['uint64', new BigUint64Array([0n, 1n, 2n ** 64n - 1n])],
  ] as const;

  it.each(arrays)('03 a %s typed array comes back as it went in', (dtype, values) =>
    torch.scope(() => {
      const x = torch.tensor(values);
      expect(x.dtype).toBe(dtype);
      expect(x.toTypedArray()).toEqual(values);
      const y = torch.tensor(values, { shape: [3, 1] });
      expect(y.shape).toEqual([3, 1]);
    }),
  );

  it('04 copies: later writes to the array do not reach the tensor', () =>
    torch.scope(() => {
      const values = new Float32Array([1, 2]);
      const x = torch.tensor(values);
      values[0] = 9;
      expect(x.toArray()).toEqual([1, 2]);
    }));

  it('05 bfloat16 and float16 come in as numbers or bits and go out as bits or numbers', () =>
    torch.scope(() => {
      const b = torch.tensor([1, -2.5, 3.140625], { dtype: 'bfloat16' });
      expect(b.toTypedArray()).toEqual(new Uint16Array([0x3f80, 0xc020, 0x4049]));
      expect(b.toArray()).toEqual([1, -2.5, 3.140625]);
      const h = torch.fromBytes(new Uint16Array([0x3c00, 0xc100, 0x7bff]), 'float16');
      expect(h.dtype).toBe('float16');
      expect(h.toArray()).toEqual([1, -2.5, 65504]);
      expect(h.toTypedArray()).toEqual(new Uint16Array([0x3c00, 0xc100, 0x7bff]));
      const parts = [new Float32Array([1, 2, 3]), new Float32Array(), new Float32Array([4])];
      const joined = torch.fromBytes(parts, 'float32', [2, 2]);
      expect(joined.toArray()).toEqual([
        [1, 2],
        [3, 4],
      ]);
      expect(torch.fromBytes([], 'int64').shape).toEqual([0]);
    }));

  it('06 every dtype converts from float32 and back', () =>
    torch.scope(() => {
      // Powers of two alone, without a sign and without zero.
      const powers = torch.tensor([1, 0.5], { dtype: 'float8_e8m0fnu' });
      expect(powers.toArray()).toEqual([1, 0.5]);
      const others = (dtype: string) => !dtype.startsWith('complex') && dtype !== powers.dtype;
      const real = torch.dtypes.filter(others);
      for (const dtype of real) {
        const x = torch.tensor([0, 1, 1], { dtype });
        expect([dtype, x.dtype, x.to('float32').toArray()]).toEqual([dtype, dtype, [0, 1, 1]]);
        expect(x.toArray()).toEqual([0, 1, 1]);
      }
      const z = torch.tensor([1, 2], { dtype: 'complex64' });
      expect(z.toTypedArray()).toEqual(new Float32Array([1, 0, 2, 0]));
    }));

  it('07 takes values of a view that is not contiguous', () =>
    torch.scope(() => {
      const x = torch.arange(6).reshape([2, 3]).t();
      expect(x.strides).toEqual([1, 3]);
      expect(x.toArray()).toEqual([
        [0, 3],
        [1, 4],
        [2, 5],
      ]);
      const into = new BigInt64Array(6);
      x.copyInto(into);
      expect([...into]).toEqual([0n, 3n, 1n, 4n, 2n, 5n]);
    }));

  it('08 names what is wrong with ragged nesting, shapes and values', () => {
    expect(() => torch.tensor([[1, 2], [3]])).toThrow(/ragged nesting.*\[3\].*an array of 2/);
    expect(() => torch.tensor(new Float32Array(3), { shape: [2, 2] })).toThrow(
      /shape \[2,2\] has 4 elements, but 3 values/,
    );
    expect(() => torch.tensor(['a'] as never)).toThrow(/found the string 'a'/);
    expect(() => torch.tensor([1.5], { dtype: 'int64' })).toThrow(/found 1.5, expected an integer/);
    expect(() => torch.tensor([1], { dtype: 'float' as never })).toThrow(/unknown dtype.*'float'/);
    expect(() => torch.fromBytes(new Uint8Array(5), 'float32', [2])).toThrow(
      /takes 8 bytes, found 5/,
    );
    const parts = [new Uint8Array(4), new Uint8Array(1)];
    expect(() => torch.fromBytes(parts, 'float32', [2])).toThrow(/takes 8 bytes, found 5/);
    expect(() => torch.fromBytes([[1]] as never, 'uint8', [1])).toThrow();
    for (const foreign of [null, undefined, new ArrayBuffer(4)]) {
      expect(() => torch.fromBytes(foreign as never, 'float32')).toThrow(/expected typed arrays/);
    }
    expect(() => torch.fromBytes(new Uint8Array(3), 'float32')).toThrow(/found 3 bytes.*of the 4/);
  });

  it('09 requiresGrad makes a leaf', () =>
    torch.scope(() => {
      const x = torch.tensor([1, 2], { requiresGrad: true });
      expect([x.requiresGrad, x.isLeaf, x.grad]).toEqual([true, true, null]);
      expect(x.mul(2).isLeaf).toBe(false);
    }));
});

describe('creation functions', () => {
  it('10 default to float32, arange and randint to int64', () =>
    torch.scope(() => {
      expect(torch.zeros([2, 3]).dtype).toBe('float32');
      expect(torch.ones(4).shape).toEqual([4]);
      expect(torch.full([2], 3).dtype).toBe('float32');
      expect(torch.full([2], true).dtype).toBe('bool');
      expect(torch.full([2], 3n).dtype).toBe('int64');
      expect(torch.full([2], 3, { dtype: 'int32' }).toArray()).toEqual([3, 3]);
      expect(torch.arange(3).dtype).toBe('int64');
      expect(torch.arange(0, 1, 0.25).toArray()).toEqual([0, 0.25, 0.5, 0.75]);
      expect(torch.randint(5, [3]).dtype).toBe('int64');
      expect(torch.linspace(0, 1, 3).toArray()).toEqual([0, 0.5, 1]);
      expect(torch.eye(2).toArray()).toEqual([
        [1, 0],
        [0, 1],
      ]);
      expect(torch.zeros([2], { dtype: 'int64', device: 'cpu' }).dtype).toBe('int64');
      expect(torch.empty([0, 3]).toArray()).toEqual([]);
    }));

  it('11 memory formats by name', () =>
    torch.scope(() => {
      const x = torch.zeros([1, 2, 3, 4]).contiguous({ memoryFormat: 'channelsLast' });
      expect(x.strides).toEqual([24, 1, 8, 2]);
      expect(x.to({ memoryFormat: 'contiguous' }).strides).toEqual([24, 12, 4, 1]);
    }));
});

describe('Tensor', () => {
  it('12 size, item and to', () =>
    torch.scope(() => {
      const x = torch.ones([2, 3]);
      expect([x.size(0), x.size(-1)]).toEqual([2, 3]);
      expect(x.size()).toEqual([2, 3]);
      expect(() => x.size(2)).toThrow(/dim is 2, expected an integer from -2 to 1/);
      expect(() => x.item()).toThrow(/has 6 elements/);
      expect(torch.tensor(true).item()).toBe(1);
      expect(torch.tensor(5n).item()).toBe(5);
      expect(x.to('float64').dtype).toBe('float64');
      expect(x.to('cpu').sameStorage(x)).toBe(true);
      expect(x.to({ dtype: 'float32', copy: true }).sameStorage(x)).toBe(false);
      expect(x.to(torch.tensor([1n])).dtype).toBe('int64');
      expect(() => x.to(3 as never)).toThrow(/found the number 3/);
    }));
});
