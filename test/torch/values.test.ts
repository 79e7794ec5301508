import { runInNewContext } from 'node:vm';
import { torch } from 'm3l';
import { describe, expect, it } from 'vitest';

interface Shrinking extends ArrayBuffer {
  resize(bytes: number): void;
}

describe('values that a dtype does not hold', () => {
  it.each([
    ['uint8', 300, '0 to 255'],
    ['uint8', -1, '0 to 255'],
    ['int8', 128, '-128 to 127'],
    ['int32', Number.NaN, '-2147483648 to 2147483647'],
    ['int32', 2 ** 40, '-2147483648 to 2147483647'],
    ['int16', 2.5, '-32768 to 32767'],
    ['int64', 2 ** 63, '-9223372036854775808 to 9223372036854775807'],
    ['int64', 2n ** 63n, '-9223372036854775808 to 9223372036854775807'],
    ['uint64', -1n, '0 to 18446744073709551615'],
  ] as const)('01 %s refuses %s', (dtype, value, range) => {
    const [low, high] = range.split(' to ');
    expect(() => torch.tensor([value], { dtype })).toThrow(
      `torch.tensor: found ${value}, expected an integer from ${low} to ${high} for ${dtype}`,
    );
  });

  it('02 are true to bool wherever they are not zero', () => {
    const values = [2, 0.5, 256, 0, false];
    const made = torch.scope(() => torch.tensor(values, { dtype: 'bool' }).toArray());
    expect(made).toEqual([1, 1, 1, 0, 0]);
  });

  it.each([
    [[true, 2.5, 0], 'float32'],
    [[1n, true], 'int64'],
    [[1n, 2], 'float32'],
    [[true, false], 'bool'],
    [[], 'float32'],
  ])('03 %o is of one dtype for all', (values, dtype) => {
    const made = torch.scope(() => {
      const tensor = torch.tensor(values);
      return [tensor.dtype, tensor.toArray()];
    });
    expect(made).toEqual([dtype, values.map(Number)]);
  });

  it('04 nest only so deep', () => {
    const itself: unknown[] = [];
    itself.push(itself);
    expect(() => torch.tensor(itself as number[])).toThrow(/does not hold itself/);
  });
});

describe('values of another realm', () => {
  it('01 are read as those of this one', () => {
    torch.scope(() => {
      const foreign = (text: string) => runInNewContext(text);
      expect(torch.tensor(foreign('new Int32Array([1, 2])')).dtype).toBe('int32');
      expect(torch.tensor(foreign('[[1, 2], [3, 4]]')).shape).toEqual([2, 2]);
      expect(torch.ones([2], foreign('({ dtype: "int32" })')).dtype).toBe('int32');
      const kept = torch.scope(() => foreign('(tensor) => ({ tensor })')(torch.ones([2])));
      expect(kept.tensor.toArray()).toEqual([1, 1]);
    });
  });
});

describe('a tensor that leaves', () => {
  it('01 is refused by structuredClone and postMessage, in a sentence', () => {
    torch.scope(() => {
      const scoped = torch.ones([2]);
      const free = torch.detached(() => torch.ones([2]));
      const { port1, port2 } = new MessageChannel();
      for (const tensor of [scoped, free]) {
        expect(() => structuredClone({ tensor })).toThrow(/send x\.toTypedArray\(\) instead/);
        expect(() => port1.postMessage(tensor)).toThrow(/send x\.toTypedArray\(\) instead/);
      }
      port1.close();
      port2.close();
      free.dispose();
    });
  });

  it('02 is its values in JSON', () => {
    const text = torch.scope(() => JSON.stringify({ x: torch.tensor([[1, 2.5]]) }));
    expect(text).toBe('{"x":[[1,2.5]]}');
  });

  it('03 has its zeros read where autograd keeps none in memory', () => {
    torch.scope(() => {
      const x = torch.tensor([1, -2]).requiresGrad_();
      x.sgn().sum().backward();
      expect(x.grad!.toArray()).toEqual([0, 0]);
    });
  });

  it('04 is refused where JavaScript has no array as large', () => {
    const huge = () => torch.scope(() => torch.empty([2 ** 34], { dtype: 'uint8' }).toTypedArray());
    expect(huge).toThrow(/JavaScript has no memory for 17179869184 bytes of uint8/);
  });
});

describe('Tensor.to', () => {
  it('01 takes a device and a dtype', () => {
    expect(torch.scope(() => torch.ones([1]).to('cpu', 'float64').dtype)).toBe('float64');
  });

  it.each([
    [{ dytpe: 'float64' }, /found the option 'dytpe', expected one of dtype, device/],
    [{ memoryFormat: 'channels_last' }, /found the string 'channels_last', expected one of cont/],
    ['flaot32', /expected a dtype, a device.*found the string 'flaot32'/],
  ])('02 refuses %j', (target, message) => {
    expect(() => torch.scope(() => torch.ones([1]).to(target as never))).toThrow(message);
  });
});

describe('a call inside a call', () => {
  it('01 leaves the outer one its arguments', () => {
    torch.scope(() => {
      const size = [2, 2];
      const get = () => torch.ones([3]).add(1).sum().item() / 3;
      Object.defineProperty(size, 0, { get });
      expect(torch.arange(4).reshape(size).shape).toEqual([2, 2]);
    });
  });

  it('02 that takes memory away is not written beyond', () => {
    // TypeScript's ES2023 does not know memory that shrinks; Node has it.
    const Resizable = ArrayBuffer as unknown as new (bytes: number, options: object) => Shrinking;
    const buffer = new Resizable(64, { maxByteLength: 64 });
    const parts = [new Uint8Array(buffer), new Uint8Array(8)];
    const second = parts[1]!;
    Object.defineProperty(parts, 1, {
      get() {
        buffer.resize(0);
        return second;
      },
    });
    expect(torch.scope(() => torch.fromBytes(parts, 'uint8').numel())).toBe(8);
  });
});
