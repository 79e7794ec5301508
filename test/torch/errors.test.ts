import { torch } from 'm3l';
import { describe, expect, it } from 'vitest';

/** The error's code and message, of `fn` run in a scope. */
function errorOf(fn: () => unknown): { code: string; message: string } {
  try {
    torch.scope(() => {
      fn();
    });
  } catch (error) {
    expect(error).toBeInstanceOf(torch.M3lError);
    const { code, message } = error as torch.M3lError;
    return { code, message };
  }
  throw new Error('nothing was thrown');
}

const never = (value: unknown) => value as never;
const pair = (values: unknown[]) => values as [number, number];

describe('errors', () => {
  it('01 a disposed tensor names the operator and the argument', () => {
    const { code, message } = errorOf(() => {
      const x = torch.ones([2]);
      const y = torch.ones([2]);
      y.dispose();
      x.add(y);
    });
    expect(code).toBe('M3L_DISPOSED');
    expect(message).toMatch(/aten::add.*'other'/);
  });

  it('02 a tensor of a closed scope is stale, and never another tensor', () => {
    const { code } = errorOf(() => {
      let leaked!: torch.Tensor;
      torch.scope(() => {
        leaked = torch.ones([2]);
      });
      for (let i = 0; i < 100; i++) torch.zeros([2]);
      leaked.toArray();
    });
    expect(code).toBe('M3L_DISPOSED');
  });

  it('03 every accessor of a disposed tensor throws', () => {
    for (const key of ['shape', 'dtype', 'device', 'strides', 'grad', 'requiresGrad'] as const) {
      const { code } = errorOf(() => {
        const x = torch.ones([1]);
        x.dispose();
        return x[key];
      });
      expect(code).toBe('M3L_DISPOSED');
    }
  });

  it('04 shapes that do not fit name the operator and both shapes', () => {
    const { code, message } = errorOf(() => torch.ones([2, 3]).add(torch.ones([4])));
    expect(code).toBe('M3L_TORCH');
    expect(message).toMatch(/aten::add/);
    expect(message).toMatch(/3.*4/);
    expect(message).not.toMatch(/frame #/);
  });

  it('05 a dtype that does not fit names the operator', () => {
    const { message } = errorOf(() =>
      torch.ones([2, 2]).matmul(torch.ones([2, 2], { dtype: 'int64' })),
    );
    expect(message).toMatch(/aten::matmul/);
    expect(message).toMatch(/dtype|type/);
  });

  it('06 a wrong kind of argument names operator, argument, found and expected', () => {
    const { code, message } = errorOf(() => torch.linear(torch.ones([2, 2]), never('w')));
    expect(code).toBe('M3L_ARGUMENT');
    expect(message).toMatch(/aten::linear.*'weight' must be a Tensor, found the string 'w'/);
  });

  it('07 missing, surplus, unknown and doubled arguments', () => {
    const x = () => torch.ones([2, 2]);
    expect(errorOf(() => torch.linear(x(), never(undefined))).message).toMatch(
      /'weight' is missing; expected a Tensor/,
    );
    expect(errorOf(() => x().hardtanh(...pair([1, 2, 3]))).message).toMatch(
      /takes 3 positional arguments, found 4/,
    );
    expect(errorOf(() => x().hardtanh(never({ minval: 0 }))).message).toMatch(
      /has no argument 'minval'; it has self, minVal, maxVal/,
    );
    expect(errorOf(() => x().hardtanh(...pair([0, 1, { minVal: 0 }]))).message).toMatch(
      /'min_val' is given twice/,
    );
  });

  it('08 no overload: each is named with its reason', () => {
    const { message } = errorOf(() => torch.ones([2]).add(never('a')));
    expect(message).toMatch(/aten::add\.Tensor.*\n.*'other' must be a Tensor/);
    expect(message).toMatch(/aten::add\.Scalar.*\n.*'other' must be a number/);
  });

  it('09 an integer where one is wanted, a list of integers where that is', () => {
    expect(errorOf(() => torch.ones([2]).transpose(0.5, 0)).message).toMatch(
      /'dim0' must be an integer, found the number 0.5/,
    );
    expect(errorOf(() => torch.ones([2]).reshape(never('2'))).message).toMatch(
      /'shape' must be an array of integers/,
    );
    expect(errorOf(() => torch.ones([2]).reshape([0.5])).code).toMatch(/^M3L_/);
  });

  it('10 unknown dtypes, devices and memory formats', () => {
    expect(errorOf(() => torch.zeros([2], { dtype: never('float') })).message).toMatch(
      /'dtype' must be a dtype.*found the string 'float'/,
    );
    expect(errorOf(() => torch.zeros([2], { device: 'toaster' })).message).toMatch(/toaster/);
    expect(errorOf(() => torch.ones([2]).clone({ memoryFormat: never('nhwc') })).message).toMatch(
      /'memory_format' must be a memory format \(contiguous, preserve/,
    );
  });

  it('11 an unknown operator or overload says what there is', () => {
    const unknown = errorOf(() => torch.ops.aten!.adddd!(1));
    expect(unknown.code).toBe('M3L_UNKNOWN_OPERATOR');
    expect(errorOf(() => torch.ops.aten!.layerNorm!(1)).message).toMatch(/layer_norm/);
    expect(errorOf(() => torch.ops.aten!.add!.Foo!(1)).message).toMatch(
      /aten::add has no overload 'Foo'; it has Tensor, Scalar/,
    );
  });

  it('12 a failed operator leaves nothing behind', () => {
    const before = torch.memory().tensors;
    for (let i = 0; i < 10; i++) errorOf(() => torch.ones([2, 3]).matmul(torch.ones([2, 3])));
    expect(torch.memory().tensors).toBe(before);
  });
});
