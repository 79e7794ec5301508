/** Reading files of tensors, whichever of the formats they are in. */
import { M3lError } from '../errors.js';
import { withDefaults } from '../require.js';
import { isHeaderStart } from '../safetensors-header.js';
import { readSafetensors } from '../safetensors-reader.js';
import type { Tensor } from '../tensor.js';
import { readNpy } from './npy.js';
import { NPY_MAGIC } from './npy-layout.js';
import { isNpz, readNpz } from './npz.js';
import { type FileSource, type Reading, readFile, readFileAsync } from './source.js';
import { isTorchLegacy, readTorchLegacy } from './torch-legacy.js';
import type { Saved } from './torch-save.js';
import { type LoadOptions, readTorchZip } from './torch-zip.js';
import { readDirectory } from './zip.js';

/**
 * Reads a file of tensors onto the CPU, in the current scope: PyTorch's (`torch.save`: .pt, .pth; also of
 * versions before 1.6), safetensors, NumPy's (.npy, .npz). Which one, its content says, not its name.
 *
 * Of PyTorch's files only tensors and plain containers are read, and nothing is executed: dictionaries
 * become objects (Maps where a key is no text), lists and tuples arrays, integers beyond 2^53 bigints,
 * dtypes and devices their names. Tensors that shared memory share it, and a parameter requires its
 * gradient. safetensors and .npz give tensors by name, .npy a tensor.
 *
 * @throws M3lError M3L_PICKLE for a pickle that asks for more, M3L_ZIP, M3L_NPY or M3L_SAFETENSORS for a
 * damaged file, M3L_FORMAT for one of no known format, M3L_TORCHSCRIPT and M3L_EXPORTED_PROGRAM for
 * programs, M3L_READ_FAILED where it cannot be read
 */
export function load<T = Saved>(path: string, options: LoadOptions = {}): T {
  const all = checkOptions('torch.load', options);
  return readFile(path, 'torch.load', (file) => readAny(file, all)) as T;
}

/** As `load`, while the event loop goes on. */
export async function loadAsync<T = Saved>(path: string, options: LoadOptions = {}): Promise<T> {
  const all = checkOptions('torch.loadAsync', options);
  return (await readFileAsync(path, 'torch.loadAsync', (file) => readAny(file, all))) as T;
}

/**
 * An array that NumPy saved (.npy), in its order of dimensions.
 * @throws M3lError M3L_NPY for a damaged file or elements that tensors do not have, M3L_READ_FAILED
 */
export function loadNpy(path: string): Tensor {
  return readFile(path, 'torch.loadNpy', (file) => readNpy(file));
}

/**
 * The arrays of a NumPy archive (.npz) by name.
 * @throws M3lError M3L_NPY, M3L_ZIP for a damaged file, M3L_READ_FAILED
 */
export function loadNpz(path: string): Record<string, Tensor> {
  return readFile(path, 'torch.loadNpz', function* (file) {
    return yield* readNpz(file, yield* readDirectory(file));
  });
}

function checkOptions(where: string, options: LoadOptions): Required<LoadOptions> {
  return withDefaults<Required<LoadOptions>>(where, { checksums: true, mmap: false }, options);
}

function* readAny(file: FileSource, options: Required<LoadOptions>): Reading<unknown> {
  const start = yield* file.bytes(0, Math.min(file.size, 64));
  const text = Buffer.from(start).toString('latin1');
  if (text.startsWith('PK')) {
    const entries = yield* readDirectory(file);
    return yield* isNpz(entries) ? readNpz(file, entries) : readTorchZip(file, entries, options);
  }
  if (text.startsWith(NPY_MAGIC)) return yield* readNpy(file);
  if (isTorchLegacy(start)) return yield* readTorchLegacy(file);
  if (isHeaderStart(start, file.size)) return (yield* readSafetensors(file, options)).tensors;
  throw new M3lError('M3L_FORMAT', `${file.path} ${formatFault(text)}`);
}

/** What a file is that is none of ours, by what it begins with. */
const OTHERS: readonly [start: string, what: string][] = [
  ['version https://git-lfs', 'is a pointer of Git LFS, without the content: run `git lfs pull`'],
  ['\x80', 'is a pickle that torch.save did not write: in Python, torch.save what it holds'],
  ['\x89hdf', 'is an HDF5 file (Keras): in Python, convert it with safetensors.torch.save_file'],
  ['gguf', 'is a GGUF file (llama.cpp), which is not read'],
  ['<!doctype', 'is a web page: the download was answered with it'],
  ['<html', 'is a web page: the download was answered with it'],
  ['<?xml', 'is XML: the download was answered with it'],
];

function formatFault(text: string): string {
  if (text === '') return 'is empty: expected a file of tensors';
  const start = text.trimStart().toLowerCase();
  const known = OTHERS.find(([magic]) => start.startsWith(magic))?.[1];
  return (
    known ??
    'is of no known format: expected one of PyTorch (.pt, .pth), safetensors or NumPy (.npy, .npz)'
  );
}
