/** Tensors of a PyTorch file while it is read: known by their storages first, made when those are there. */
import { type DType, dtypeInfo, isFloatingDType, type Layout } from '../dtype.js';
import type { M3lError } from '../errors.js';
import {
  empty,
  emptyStrided,
  sparseCompressedTensor,
  sparseCooTensor,
} from '../generated/functions.js';
import { operator } from '../invoke.js';
import { scope } from '../scope.js';
import type { Tensor } from '../tensor.js';
import { PyDict, PyTuple } from './pickle-values.js';

/** What operators of libtorch take. */
const MOST_DIMENSIONS = 64;

type Fail = (reason: string) => M3lError;

/** The bytes that tensors share, by their key in the file. */
export class Storage {
  /** Tensors in it, of which each is made once the bytes are there. */
  readonly tensors: StridedTensor[] = [];

  constructor(
    readonly key: string,
    readonly bytes: number,
    /** That of its numbers, whose order a machine chooses; null where it has none of its own. */
    public dtype: DType | null,
  ) {}

  /** Makes the tensors of a uint8 tensor with the storage's bytes, which is disposed. */
  fill(bytes: Tensor): void {
    try {
      for (const tensor of this.tensors) tensor.make(bytes);
    } finally {
      bytes.dispose();
    }
  }
}

/** A storage as a pickle refers to it: whole, or (before PyTorch 0.4) a part. It is no value by itself. */
export class StorageReference {
  readonly pyName = 'torch.storage';

  constructor(
    readonly storage: Storage,
    /** Of its elements; null for bytes. */
    readonly dtype: DType | null,
    /** In elements. */
    readonly offset: number,
    readonly count: number,
  ) {}
}

/** Anything that becomes a tensor. */
export interface FutureTensor {
  readonly pending: true;
  value(): Tensor;
}

export class StridedTensor implements FutureTensor {
  readonly pending = true;
  readonly #offset: number;
  readonly #size: readonly number[];
  readonly #stride: readonly number[];
  #tensor: Tensor | null = null;
  #taken = false;
  requiresGrad = false;
  conjugate = false;
  negative = false;

  constructor(
    private readonly reference: StorageReference,
    readonly dtype: DType,
    private readonly place: readonly [offset: unknown, size: unknown, stride: unknown],
    private readonly fail: Fail,
  ) {
    const { storage } = reference;
    const [offset, size, stride] = place;
    const item = dtypeInfo(dtype).size;
    this.#size = sizes(size, 'size', fail);
    this.#stride = sizes(stride, 'stride', fail);
    this.#offset = reference.offset + whole(offset, 'offset', fail);
    const first = reference.offset * item;
    const most = Math.min(storage.bytes, first + reference.count * (reference.dtype ? item : 1));
    if (end(this.#offset, this.#size, this.#stride, fail) * item > most) {
      throw fail(
        `a tensor of shape [${this.#size}] and strides [${this.#stride}] from element ${this.#offset} on does not fit its storage of ${storage.bytes} bytes`,
      );
    }
    storage.dtype ??= dtype;
    storage.tensors.push(this);
  }

  /** The same values as another tensor, as nn.Parameter makes one. */
  parameter(requiresGrad: boolean): StridedTensor {
    const { reference, dtype, place, fail, conjugate, negative } = this;
    const made = new StridedTensor(reference, dtype, place, fail);
    return Object.assign(made, { requiresGrad, conjugate, negative });
  }

  /** (requires_grad, volatile, hooks): the state of a parameter before PyTorch 0.4. */
  build(state: unknown): void {
    if (!(state instanceof PyTuple) || state.items.length !== 3) {
      throw this.fail('it has a parameter with a state of no known form');
    }
    this.requiresGrad = state.items[0] === true;
  }

  make(bytes: Tensor): void {
    this.#tensor = scope(() => {
      const item = dtypeInfo(this.dtype).size;
      const count = Math.floor(bytes.numel() / item);
      const typed =
        this.dtype === 'uint8' ? bytes : bytes.narrow(0, 0, count * item).view(this.dtype);
      const tensor = empty([0], { dtype: this.dtype });
      tensor.set_(typed, this.#offset, this.#size, this.#stride);
      const turned = this.conjugate ? tensor.conj() : tensor;
      return this.negative ? turned.neg() : turned;
    });
    if (this.requiresGrad) requireGrad(this.#tensor, this.fail);
  }

  value(): Tensor {
    this.#taken = true;
    return this.#tensor!;
  }

  /** Releases the tensor where nobody asked for it, or in any case. */
  release(taken: boolean): void {
    if (taken || !this.#taken) this.#tensor?.dispose();
  }
}

/** One of the sparse layouts, of tensors that the file holds. */
export class SparseTensor implements FutureTensor {
  readonly pending = true;
  requiresGrad = false;
  readonly #parts: readonly FutureTensor[];
  readonly #size: readonly number[];
  readonly #coalesced: boolean | undefined;
  #tensor: Tensor | null = null;

  constructor(
    private readonly layout: Layout,
    data: readonly unknown[],
    private readonly fail: Fail,
  ) {
    const count = layout === 'sparse' ? 2 : 3;
    this.#parts = data.slice(0, count).map((part) => {
      if (part instanceof StridedTensor) return part;
      throw fail(`a tensor of layout ${layout} has parts that are no tensors`);
    });
    if (this.#parts.length < count) throw fail(`a tensor of layout ${layout} lacks parts`);
    this.#size = sizes(data[count], 'size', fail);
    this.#coalesced = data[count + 1] === true ? true : undefined;
  }

  value(): Tensor {
    this.#tensor ??= this.#make();
    return this.#tensor;
  }

  #make(): Tensor {
    const parts = this.#parts.map((part) => part.value()) as [Tensor, Tensor, Tensor];
    const [first, second, values] = parts;
    const { layout } = this;
    const size = this.#size;
    let tensor: Tensor;
    try {
      // Operators take the indices for sound.
      if (layout === 'sparse') checkCoordinates(first, second, size, this.#coalesced);
      else checkCompressed(first, second, values, size, layout);
      tensor =
        layout === 'sparse'
          ? sparseCooTensor(first, second, size, { isCoalesced: this.#coalesced })
          : sparseCompressedTensor(first, second, values, size, {
              dtype: values.dtype,
              layout,
            });
    } catch (error) {
      throw this.fail(`a tensor of layout ${layout}: ${(error as Error).message}`);
    } finally {
      for (const part of parts) part.dispose();
    }
    if (this.requiresGrad) requireGrad(tensor, this.fail);
    return tensor;
  }
}

const checkCoordinates = operator<
  (indices: Tensor, values: Tensor, size: readonly number[], coalesced?: boolean) => void
>('_validate_sparse_coo_tensor_args', '');
const checkCompressed = operator<
  (first: Tensor, second: Tensor, values: Tensor, size: readonly number[], layout: Layout) => void
>('_validate_sparse_compressed_tensor_args', '');

/** A tensor without values. */
export class MetaTensor implements FutureTensor {
  readonly pending = true;
  requiresGrad = false;
  #tensor: Tensor | null = null;
  readonly #size: readonly number[];
  readonly #stride: readonly number[];

  constructor(
    private readonly dtype: DType,
    size: unknown,
    stride: unknown,
    private readonly fail: Fail,
  ) {
    this.#size = sizes(size, 'size', fail);
    this.#stride = sizes(stride, 'stride', fail);
    end(0, this.#size, this.#stride, fail);
  }

  value(): Tensor {
    if (this.#tensor === null) {
      const { dtype } = this;
      this.#tensor = emptyStrided(this.#size, this.#stride, { dtype, device: 'meta' });
      if (this.requiresGrad) requireGrad(this.#tensor, this.fail);
    }
    return this.#tensor;
  }
}

function requireGrad(tensor: Tensor, fail: Fail): void {
  const { dtype } = tensor;
  if (isFloatingDType(dtype) || dtype.startsWith('complex')) tensor.requiresGrad_();
  else throw fail(`a tensor of ${dtype} should require a gradient`);
}

function sizes(value: unknown, what: string, fail: Fail): number[] {
  if (!(value instanceof PyTuple) || value.items.length > MOST_DIMENSIONS) {
    throw fail(`a tensor has no valid ${what}`);
  }
  return value.items.map((item) => whole(item, what, fail));
}

function whole(value: unknown, what: string, fail: Fail): number {
  if (Number.isSafeInteger(value) && (value as number) >= 0) return value as number;
  throw fail(`a tensor has the ${what} ${String(value)}, expected a whole number`);
}

/** One more than the last element that a tensor reaches; 0 for an empty one. */
function end(
  offset: number,
  size: readonly number[],
  stride: readonly number[],
  fail: Fail,
): number {
  if (size.length !== stride.length)
    throw fail(`a tensor has ${size.length} sizes, ${stride.length} strides`);
  const extent = size.reduce((product, length) => product * (length || 1), 1);
  const last = size.reduce(
    (sum, length, dim) => sum + Math.max(length - 1, 0) * stride[dim]!,
    offset,
  );
  if (!Number.isSafeInteger(16 * extent) || !Number.isSafeInteger(16 * last)) {
    throw fail(`a tensor of shape [${size}] and strides [${stride}] is too large`);
  }
  return size.includes(0) ? 0 : last + 1;
}

/** The storages of one file, as its pickle asks for them. */
export class StorageTable {
  readonly storages = new Map<string, Storage>();

  constructor(
    private readonly fail: Fail,
    /** Whether the file may hold a storage of so many bytes under this key; throws where it cannot. */
    private readonly check: (key: string, bytes: number) => void,
  ) {}

  /** What a persistent id stands for: ('storage', type, key, device, count[, view]). */
  reference(id: unknown): StorageReference {
    const fields = id instanceof PyTuple ? id.items : [];
    const [tag, type, key, , count, view] = fields;
    if (tag !== 'storage') throw this.fail('its pickle refers to something that is no storage');
    if (!(type instanceof StorageType)) throw this.fail('its pickle has a storage without a type');
    const { dtype } = type;
    const bytes = whole(count, 'count', this.fail) * (dtype ? dtypeInfo(dtype).size : 1);
    const storage = this.#storage(String(key), bytes, dtype);
    const reference = new StorageReference(storage, dtype, 0, count as number);
    if (view === null || view === undefined) return reference;
    const [, offset, size] = view instanceof PyTuple ? view.items : [];
    const start = whole(offset, 'offset', this.fail);
    const length = whole(size, 'size', this.fail);
    if (start + length > (count as number)) throw this.fail('a view of a storage ends after it');
    return new StorageReference(storage, dtype, start, length);
  }

  /** Releases the tensors that nobody asked for, or all of them. */
  release(taken: boolean): void {
    for (const { tensors } of this.storages.values()) {
      for (const tensor of tensors) tensor.release(taken);
    }
  }

  #storage(key: string, bytes: number, dtype: DType | null): Storage {
    const known = this.storages.get(key);
    if (known !== undefined) {
      if (known.bytes === bytes) return known;
      throw this.fail(`its storage '${key.slice(0, 40)}' has ${known.bytes} bytes, and ${bytes}`);
    }
    if (!Number.isSafeInteger(bytes)) throw this.fail(`a storage of ${bytes} bytes is too large`);
    this.check(key, bytes);
    const storage = new Storage(key, bytes, dtype);
    this.storages.set(key, storage);
    return storage;
  }
}

/** `torch.FloatStorage` and its like; `dtype` is null for bytes. */
export class StorageType {
  constructor(
    readonly pyName: string,
    readonly dtype: DType | null,
  ) {}
}

/** What `_rebuild_tensor_v2` is told of a tensor's lazy conjugation and negation. */
export function metadataFlags(metadata: unknown): { conjugate: boolean; negative: boolean } {
  const flag = (name: string) =>
    metadata instanceof PyDict && metadata.values[metadata.keys.indexOf(name)] === true;
  return { conjugate: flag('conj'), negative: flag('neg') };
}
