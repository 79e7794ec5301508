/** Which memory the tensors of a file share, so that it is written once. */
import { type DType, dtypeInfo } from '../dtype.js';
import { ArgumentError } from '../errors.js';
import { operator } from '../invoke.js';
import { layoutOf, sparseParts } from '../layout.js';
import { core } from '../native.js';
import { scope } from '../scope.js';
import type { Tensor } from '../tensor.js';
import { tensorBytes } from './tensor-chunks.js';
import type { EntryToWrite } from './zip-writer.js';

/** A range of one storage that tensors lie in. */
export interface StorageToWrite {
  key: string;
  readonly dtype: DType;
  /** Any tensor in it. */
  readonly tensor: Tensor;
  /** First element and the one after the last, counted from the start of the memory. */
  readonly start: number;
  end: number;
}

/** A dense tensor, or one of those that a sparse one consists of. */
export interface Part {
  readonly tensor: Tensor;
  readonly storage: StorageToWrite;
}

/** Finds ranges for tensors, and keeps the copies that it needs until it is disposed. */
export class StoragesToWrite {
  readonly #own: Tensor[] = [];
  readonly #parts = new Map<Tensor, readonly Tensor[]>();
  readonly #storageOf = new Map<Tensor, StorageToWrite>();

  constructor(tensors: Iterable<Tensor>) {
    try {
      for (const tensor of tensors) this.#parts.set(tensor, this.#plainParts(tensor));
      const parts = [...this.#parts.values()].flat().filter((part) => part.device !== 'meta');
      for (const ranges of sharing(parts)) this.#join(ranges);
      // In the order in which the pickle names them: so that the same values give the same file.
      for (const [index, storage] of this.#storages().entries()) storage.key = `${index}`;
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  /** The tensor itself, or the parts of a sparse one, each with its storage. */
  parts(tensor: Tensor): Part[] {
    const parts = this.#parts.get(tensor)!;
    return parts.map((part) => ({ tensor: part, storage: this.#storageOf.get(part)! }));
  }

  entries(): EntryToWrite[] {
    return this.#storages().map((storage) => ({
      name: storage.key,
      size: (storage.end - storage.start) * dtypeInfo(storage.dtype).size,
      chunks: () => storageBytes(storage),
    }));
  }

  #storages(): StorageToWrite[] {
    const parts = [...this.#parts.values()].flat();
    return [...new Set(parts.flatMap((part) => this.#storageOf.get(part) ?? []))];
  }

  dispose(): void {
    for (const tensor of this.#own) tensor.dispose();
  }

  #plainParts(tensor: Tensor): Tensor[] {
    const parts = scope(() => {
      const own = tensor.detach();
      return layoutOf(own) === 'strided' ? [dense(own)] : sparseParts(own).tensors;
    });
    this.#own.push(...parts);
    return parts;
  }

  /** Ranges of one memory that overlap are written as one. */
  #join(parts: readonly Tensor[]): void {
    const ranges = parts.map((part) => ({ part, ...rangeOf(part) }));
    ranges.sort((a, b) => a.from - b.from);
    let joined: StorageToWrite | null = null;
    let until = 0;
    for (const { part, start, end, from, to } of ranges) {
      const { dtype } = part;
      if (from === to) {
        this.#storageOf.set(part, { key: '', dtype, tensor: part, start, end });
        continue;
      }
      if (joined === null || from >= until) {
        joined = { key: '', dtype, tensor: part, start, end };
        until = to;
      } else if (joined.dtype !== dtype) {
        throw new ArgumentError(
          `torch.save: two tensors see the same memory as ${joined.dtype} and as ${dtype}, which a file of PyTorch cannot hold; clone() one of them`,
        );
      } else {
        joined.end = Math.max(joined.end, end);
        until = Math.max(until, to);
      }
      this.#storageOf.set(part, joined);
    }
  }
}

/** With memory of its own where the values are known lazily only. */
function dense(tensor: Tensor): Tensor {
  if (tensor.device === 'meta') return tensor;
  return (isZeroTensor(tensor) ? tensor.clone() : tensor).resolveConj().resolveNeg();
}

const isZeroTensor = operator<(tensor: Tensor) => boolean>('_is_zerotensor', '');

/** Elements from the start of the memory on, and the same in bytes. */
function rangeOf(tensor: Tensor): { start: number; end: number; from: number; to: number } {
  const { size } = dtypeInfo(tensor.dtype);
  const start = core.storageOffset(tensor.handle);
  const strides = core.strides(tensor.handle);
  const last = tensor.shape.reduce((sum, length, dim) => sum + (length - 1) * strides[dim]!, start);
  const end = tensor.shape.includes(0) ? start : last + 1;
  return { start, end, from: start * size, to: end * size };
}

/** Lists of tensors on the same memory. */
function sharing(parts: readonly Tensor[]): Tensor[][] {
  const alike = new Map<number, Tensor[]>();
  for (const part of parts) {
    const key = core.storageKey(part.handle);
    const list = alike.get(key);
    if (list) list.push(part);
    else alike.set(key, [part]);
  }
  return [...alike.values()];
}

function* storageBytes({ tensor, start, end }: StorageToWrite): Generator<Uint8Array> {
  if (start === end) return;
  const flat = tensor.asStrided([end - start], [1], start);
  try {
    yield* tensorBytes(flat);
  } finally {
    flat.dispose();
  }
}
