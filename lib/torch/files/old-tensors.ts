/** Tensors and parameters as PyTorch pickled them before 0.4: made empty, then given their state. */
import type { M3lError } from '../errors.js';
import type { Tensor } from '../tensor.js';
import { PyTuple } from './pickle-values.js';
import { type FutureTensor, StorageReference, StridedTensor } from './storages.js';

/** `torch.FloatTensor` and its like, and `torch.nn.parameter.Parameter` without arguments. */
export class OldTensor implements FutureTensor {
  readonly pending = true;
  #tensor: StridedTensor | null = null;

  constructor(private readonly fail: (reason: string) => M3lError) {}

  /** (storage, offset, size, stride) of a tensor; (data, grad, hooks, requires_grad, volatile). */
  build(state: unknown): void {
    const fields = state instanceof PyTuple ? state.items : [];
    const [first, offset, size, stride] = fields;
    if (fields.length === 4 && first instanceof StorageReference && first.dtype) {
      this.#tensor = new StridedTensor(first, first.dtype, [offset, size, stride], this.fail);
    } else if (fields.length === 5) {
      this.#tensor = stridedOf(first, this.fail).parameter(fields[3] === true);
    } else throw this.fail('it has a tensor with a state of no known form');
  }

  get strided(): StridedTensor | null {
    return this.#tensor;
  }

  value(): Tensor {
    return stridedOf(this, this.fail).value();
  }
}

/** The tensor behind a value that stands for one. */
export function stridedOf(value: unknown, fail: (reason: string) => M3lError): StridedTensor {
  const tensor = value instanceof OldTensor ? value.strided : value;
  if (tensor instanceof StridedTensor) return tensor;
  throw fail('it has a parameter without a tensor');
}

/** The names of tensors by their storage's: `torch.FloatStorage` holds a `torch.FloatTensor`. */
export function isOldTensor(name: string): boolean {
  return /^torch\.(cuda\.)?(Double|Float|Half|Long|Int|Short|Char|Byte|Bool|BFloat16)Tensor$/.test(
    name,
  );
}
