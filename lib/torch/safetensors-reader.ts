/** Reads the values of a safetensors file: all of them, or of one tensor after the other. */
import { dtypeInfo } from './dtype.js';
import { ArgumentError, describe } from './errors.js';
import { define } from './files/pickle-values.js';
import { type FileSource, OpenFile, type Reading } from './files/source.js';
import { mapFile, readValues, reinterpret } from './files/tensor-bytes.js';
import { withDefaults } from './require.js';
import { readHeader, type SafetensorsEntry, type SafetensorsHeader } from './safetensors-header.js';
import { scope } from './scope.js';
import type { Tensor } from './tensor.js';

/** The tensors of a safetensors file, and its metadata. */
export interface Safetensors {
  tensors: Record<string, Tensor>;
  metadata: Record<string, string>;
}

export function* readSafetensors(file: FileSource, { mmap = false } = {}): Reading<Safetensors> {
  const { entries, metadata } = yield* readHeader(file);
  const tensors: Record<string, Tensor> = {};
  const whole = mmap && file.size > 0 ? mapFile(file) : null;
  try {
    for (const [name, entry] of entries) {
      const tensor = whole && mapped(whole, entry);
      define(tensors, name, tensor ?? (yield* readEntry(file, entry)));
    }
    return { tensors, metadata };
  } catch (error) {
    for (const tensor of Object.values(tensors)) tensor.dispose();
    throw error;
  } finally {
    whole?.dispose();
  }
}

function* readEntry(file: FileSource, { dtype, shape, range }: SafetensorsEntry): Reading<Tensor> {
  return yield* readValues(file, range, dtype, shape);
}

/** A tensor whose values stay in the file; null where they do not lie at a multiple of their size. */
function mapped(
  whole: Tensor,
  { dtype, shape, range: [start, end] }: SafetensorsEntry,
): Tensor | null {
  if (start % dtypeInfo(dtype).size !== 0) return null;
  return scope(() => reinterpret(whole.narrow(0, start, end - start), dtype, shape).detach());
}

/**
 * An open safetensors file, of which tensors are read one by one: names, dtypes and shapes are known at
 * once. Close it, or declare it by `using`.
 */
export class SafetensorsFile {
  readonly #file: OpenFile;
  readonly #header: SafetensorsHeader;

  /** Internal: use `torch.openSafetensors`. */
  constructor(path: string) {
    this.#file = OpenFile.open(path, 'openSafetensors');
    try {
      this.#header = this.#file.run(readHeader);
    } catch (error) {
      this.#file.close();
      throw error;
    }
  }

  /** The names of the tensors, as the header lists them. */
  get names(): string[] {
    return [...this.#header.entries.keys()];
  }

  get metadata(): Record<string, string> {
    return { ...this.#header.metadata };
  }

  /** Dtype and shape of a tensor. */
  info(name: string): Pick<SafetensorsEntry, 'dtype' | 'shape'> {
    const { dtype, shape } = this.#entry(name);
    return { dtype, shape: [...shape] };
  }

  /**
   * Reads one tensor onto the CPU, in the current scope.
   * @param options.mmap its values stay in the file until they are used (see `torch.load`)
   */
  get(name: string, options: { mmap?: boolean } = {}): Tensor {
    const entry = this.#entry(name);
    const { mmap } = withDefaults<{ mmap: boolean }>(
      'SafetensorsFile.get',
      { mmap: false },
      options,
    );
    return this.#file.run(function* (file) {
      const tensor = mmap ? mapEntry(file, entry) : null;
      return tensor ?? (yield* readEntry(file, entry));
    });
  }

  /** As `get`, while the event loop goes on. */
  async getAsync(name: string): Promise<Tensor> {
    const entry = this.#entry(name);
    return await this.#file.runAsync((file) => readEntry(file, entry));
  }

  /** A second call does nothing; tensors that were read stay. */
  close(): void {
    this.#file.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #entry(name: string): SafetensorsEntry {
    const entry = this.#header.entries.get(name);
    if (entry !== undefined) return entry;
    const some = this.names.slice(0, 5).join(', ');
    throw new ArgumentError(
      `SafetensorsFile: found ${describe(name)}, expected the name of one of the ${this.names.length} tensors (${some.slice(0, 200)}, …)`,
    );
  }
}

function mapEntry(file: FileSource, entry: SafetensorsEntry): Tensor | null {
  const whole = mapFile(file);
  try {
    return mapped(whole, entry);
  } finally {
    whole.dispose();
  }
}

/**
 * Opens a safetensors file without reading its values.
 * @throws M3lError M3L_SAFETENSORS for a damaged file, M3L_READ_FAILED where it cannot be read
 */
export function openSafetensors(path: string): SafetensorsFile {
  return new SafetensorsFile(path);
}
