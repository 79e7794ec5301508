/** PyTorch's files since 1.6: a zip archive of a pickle and of the storages that it refers to. */
import { fromBytes } from '../creation.js';
import { type DType, dtypeInfo } from '../dtype.js';
import { M3lError } from '../errors.js';
import type { Tensor } from '../tensor.js';
import { pickleHost } from './pickle-globals.js';
import { PickleEnded, type PickleHost, readPickle } from './pickle-reader.js';
import { toJavaScript } from './pickle-values.js';
import { corrupt, type FileSource, type Reading } from './source.js';
import { StorageTable } from './storages.js';
import { mapFile, readRange, swapBytes, wordSize } from './tensor-bytes.js';
import { entryRange, readEntry, requireCrc, type ZipDirectory, type ZipEntry } from './zip.js';

/** See `torch.load`. */
export interface LoadOptions {
  /**
   * Compare the checksums of a zip archive's entries. Default true; false for archives that were saved
   * without (`torch.serialization.set_crc32_options(False)`).
   */
  checksums?: boolean;
  /**
   * Map the file into memory instead of reading it (zip and safetensors): values come from the disk when
   * they are used, and without a check of sums. Whoever shortens the file meanwhile ends the process.
   * Default false.
   */
  mmap?: boolean;
}

/** A pickle that describes tensors has some hundred bytes of each. */
const LONGEST_PICKLE = 256 << 20;

export function* readTorchZip(
  file: FileSource,
  entries: ZipDirectory,
  { checksums = true, mmap = false }: LoadOptions,
): Reading<unknown> {
  const fail = (reason: string) => corrupt('M3L_PICKLE', file.path, 'PyTorch file', reason);
  const pickle = findPickle(file, entries, fail);
  const folder = pickle.name.slice(0, -'data.pkl'.length);
  const bytes = yield* readEntry(file, pickle, checksums);
  const bigEndian = yield* isBigEndian(file, entries.get(`${folder}byteorder`), checksums);
  const entryOf = (key: string) => entries.get(`${folder}data/${key}`);
  const table = new StorageTable(fail, (key, size) => {
    const found = entryOf(key)?.size;
    if (found === size) return;
    throw fail(
      found === undefined
        ? `its storage '${key.slice(0, 40)}' is not in it`
        : `its storage '${key.slice(0, 40)}' has ${found} bytes, expected ${size}`,
    );
  });
  const host = pickleHost(table, fail, file.size);
  const value = yield* parse(bytes, host);
  const stored = [...table.storages.values()].map((storage) => ({
    storage,
    entry: entryOf(storage.key)!,
  }));
  // As they lie in the file.
  stored.sort((a, b) => a.entry.header - b.entry.header);
  const mapping = new Mapping(file);
  try {
    return yield* made(table, value, fail, function* () {
      for (const { storage, entry } of stored) {
        const swap = bigEndian && storage.dtype ? wordSize(storage.dtype) : 1;
        const range = yield* entryRange(file, entry);
        const mapped = mmap && swap === 1 ? mapping.bytes(entry, range, storage.dtype) : null;
        storage.fill(mapped ?? (yield* readStorage(file, entry, range, { swap, checksums })));
      }
    });
  } finally {
    mapping.dispose();
  }
}

/** A file in memory, mapped once it is needed. */
class Mapping {
  #whole: Tensor | null = null;

  constructor(private readonly file: FileSource) {}

  /** The bytes of an entry; null where they do not lie in the file as memory has them. */
  bytes(entry: ZipEntry, [start]: readonly [number, number], dtype: DType | null): Tensor | null {
    const aligned = start % dtypeInfo(dtype ?? 'uint8').size === 0;
    if (entry.deflated || entry.size === 0 || !aligned) return null;
    this.#whole ??= mapFile(this.file);
    return this.#whole.narrow(0, start, entry.size);
  }

  dispose(): void {
    this.#whole?.dispose();
  }
}

function* parse(bytes: Uint8Array, host: PickleHost): Reading<unknown> {
  try {
    return (yield* readPickle(bytes, 0, host)).value;
  } catch (error) {
    throw error instanceof PickleEnded ? host.fail('its pickle is cut short') : error;
  }
}

/** Fills the storages, then gives the values of the pickle; tensors of a file that fails go. */
export function* made(
  table: StorageTable,
  value: unknown,
  fail: (reason: string) => M3lError,
  fill: () => Reading<void>,
): Reading<unknown> {
  try {
    yield* fill();
    const result = toJavaScript(value, fail);
    table.release(false);
    return result;
  } catch (error) {
    table.release(true);
    throw error;
  }
}

function findPickle(
  file: FileSource,
  entries: ZipDirectory,
  fail: (reason: string) => M3lError,
): ZipEntry {
  const names = [...entries.keys()];
  const inside = (name: string) =>
    names.some((each) => each.split('/').slice(1).join('/') === name);
  if (inside('constants.pkl')) {
    throw new M3lError(
      'M3L_TORCHSCRIPT',
      `${file.path} is a TorchScript archive (torch.jit.save): a program. torch.loadScript runs it, and its stateDict() has the weights.`,
    );
  }
  if (inside('archive_format') || names.some((name) => name.includes('aotinductor/'))) {
    throw new M3lError(
      'M3L_EXPORTED_PROGRAM',
      `${file.path} is an exported program (torch.export or AOTInductor), which is not run here. In Python, save its weights: torch.save(torch.export.load('${file.path}').state_dict, 'weights.pth')`,
    );
  }
  const pickle = [...entries.values()].find(({ name }) => /^[^/]*\/?data\.pkl$/.test(name));
  if (pickle === undefined) {
    const shown = names.slice(0, 3).join(', ');
    throw fail(`it has no data.pkl among its ${names.length} entries (${shown.slice(0, 200)})`);
  }
  if (pickle.size > LONGEST_PICKLE) throw fail(`its data.pkl has ${pickle.size} bytes`);
  return pickle;
}

function* isBigEndian(
  file: FileSource,
  entry: ZipEntry | undefined,
  checksums: boolean,
): Reading<boolean> {
  if (entry === undefined || entry.size > 16) return false;
  return Buffer.from(yield* readEntry(file, entry, checksums)).toString() === 'big';
}

function* readStorage(
  file: FileSource,
  entry: ZipEntry,
  [start, end]: readonly [number, number],
  { swap, checksums }: { swap: number; checksums: boolean },
): Reading<Tensor> {
  if (entry.deflated) {
    const bytes = yield* readEntry(file, entry, checksums);
    swapBytes(bytes, swap);
    return fromBytes(bytes, 'uint8');
  }
  const checkCrc = checksums ? (crc: number) => requireCrc(file, entry, crc) : undefined;
  return yield* readRange(file, start, end, { checkCrc, swap });
}
