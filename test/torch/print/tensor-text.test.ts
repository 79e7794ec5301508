import { inspect } from 'node:util';
import { torch } from 'm3l';
import { afterEach, describe, expect, it } from 'vitest';
import cases from '../../fixtures/tensor-text.json' with { type: 'json' };

type Tensor = torch.Tensor;

interface Case {
  dtype: torch.DType;
  shape: number[];
  bits?: string;
  recipe?: number[];
  meta?: boolean;
  layout?: string;
  options?: Partial<torch.PrintOptions>;
  requiresGrad?: boolean;
  text: string;
}

const defaults = torch.getPrintOptions();
afterEach(() => void torch.setPrintOptions(defaults));

function make({ dtype, shape, bits = '', recipe, meta, layout, requiresGrad }: Case): Tensor {
  if (meta) return torch.empty(shape, { dtype, device: 'meta' });
  let tensor: Tensor;
  if (recipe) {
    const [count, scale, shift] = recipe as [number, number, number];
    const steps = torch.arange(count, { dtype: 'float64' });
    tensor = steps.mul(scale).add(shift).to(dtype).reshape(shape);
  } else {
    tensor = torch.fromBytes(Buffer.from(bits, 'base64'), dtype, shape);
  }
  if (requiresGrad) tensor.requiresGrad_();
  switch (layout) {
    case 'Coo':
      return tensor.toSparse();
    case 'Csr':
      return tensor.toSparseCsr();
    case 'Csc':
      return tensor.toSparseCsc();
    case 'Bsr':
      return tensor.toSparseBsr([2, 2]);
    case 'Bsc':
      return tensor.toSparseBsc([2, 2]);
    default:
      return tensor;
  }
}

/** What differs by design: our names of dtypes, layouts and flags. */
function ours(text: string): string {
  return text
    .replace(/dtype=torch\./, 'dtype=')
    .replace('layout=torch.sparse_coo', 'layout=sparse')
    .replace(/layout=torch\.sparse_(...)/, (_, name: string) => `layout=sparse${capital(name)}`)
    .replace('requires_grad=True', 'requiresGrad=true');
}

const capital = (text: string) => text[0]!.toUpperCase() + text.slice(1);

describe('a printed tensor', () => {
  it.each((cases as Case[]).map((each, i) => [i, each.dtype, `[${each.shape}]`, each] as const))(
    '01 reads as PyTorch prints it: %i, %s %s',
    (_, _dtype, _shape, each) =>
      torch.scope(() => {
        const tensor = make(each);
        if (each.options) torch.setPrintOptions(each.options);
        expect(String(tensor)).toBe(ours(each.text));
      }),
  );

  it('02 is what console.log shows, indented where it lies in other values', () =>
    torch.scope(() => {
      const text = inspect({ list: [torch.eye(2)] }, { compact: false });
      expect(text).toContain('    tensor([[1., 0.],\n            [0., 1.]])');
    }));

  it('03 never throws: disposed, without memory, nested', () =>
    torch.scope(() => {
      const gone = torch.ones([2]);
      gone.dispose();
      expect(inspect(gone)).toBe('tensor(disposed)');
      const w = torch.ones([2], { dtype: 'float32' }).requiresGrad_();
      w.sgn().sum().backward();
      expect(String(w.grad)).toBe('tensor([0., 0.])');
      const { aten } = torch.ops as unknown as Record<
        string,
        Record<string, torch.OperatorFunction>
      >;
      const parts = [torch.ones([2]), torch.ones([3])];
      const nested = aten!._nested_tensor_from_tensor_list!(parts, null, null, null, null);
      expect(inspect(nested)).toMatch(/^tensor\(<.*>\)$/);
    }));

  it('04 leaves no tensors, no graph and the recording of gradients as it was', () =>
    torch.scope(() => {
      const x = torch.ones([40, 40]).requiresGrad_();
      const before = torch.memory().tensors;
      String(x.mul(2));
      expect(torch.memory().tensors).toBe(before + 1);
      expect(torch.isGradEnabled()).toBe(true);
      expect(x.grad).toBeNull();
    }));

  it('05 options are changed by name, and what they were is given back', () => {
    const before = torch.setPrintOptions({ precision: 2, sciMode: true });
    expect(before).toEqual(defaults);
    expect(torch.getPrintOptions()).toEqual({ ...defaults, precision: 2, sciMode: true });
    torch.setPrintOptions(before);
    expect(torch.getPrintOptions()).toEqual(defaults);
    const set = torch.setPrintOptions as (options: unknown) => void;
    for (const wrong of [{ edgeitems: 3 }, { precision: -1 }, { sciMode: 'on' }, null, 4]) {
      expect(() => set(wrong)).toThrow(expect.objectContaining({ code: 'M3L_ARGUMENT' }));
    }
    expect(torch.getPrintOptions()).toEqual(defaults);
  });
});
