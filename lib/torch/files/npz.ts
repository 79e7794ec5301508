/** NumPy's archives (.npz): a zip archive of arrays, stored (`savez`) or packed (`savez_compressed`). */
import { M3lError } from '../errors.js';
import type { Tensor } from '../tensor.js';
import { npyOf, readNpy } from './npy.js';
import { define } from './pickle-values.js';
import type { FileSource, Reading } from './source.js';
import { entryRange, readEntry, requireCrc, type ZipDirectory, type ZipEntry } from './zip.js';

const SUFFIX = '.npy';

/** Whether an archive is one of NumPy's: of arrays only. */
export function isNpz(entries: ZipDirectory): boolean {
  return [...entries.keys()].every((name) => name.endsWith(SUFFIX));
}

export function* readNpz(file: FileSource, entries: ZipDirectory): Reading<Record<string, Tensor>> {
  const tensors: Record<string, Tensor> = {};
  const stray = [...entries.keys()].find((name) => !name.endsWith(SUFFIX));
  if (stray !== undefined) {
    throw new M3lError(
      'M3L_NPY',
      `${file.path} is not a valid archive of NumPy: it holds '${stray.slice(0, 200)}', expected arrays (.npy); torch.load reads PyTorch's archives`,
    );
  }
  try {
    for (const [name, entry] of entries) {
      define(tensors, name.slice(0, -SUFFIX.length), yield* readArray(file, entry));
    }
    return tensors;
  } catch (error) {
    for (const tensor of Object.values(tensors)) tensor.dispose();
    throw error;
  }
}

function* readArray(file: FileSource, entry: ZipEntry): Reading<Tensor> {
  if (entry.deflated) return npyOf(yield* readEntry(file, entry), file.path);
  const [start, end] = yield* entryRange(file, entry);
  return yield* readNpy(file, start, end, { checkCrc: (crc) => requireCrc(file, entry, crc) });
}
