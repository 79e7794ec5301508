/** NumPy's arrays (.npy) as tensors. */
import { crc32 } from '../crc32.js';
import { fromBytes } from '../creation.js';
import { type DType, dtypeInfo } from '../dtype.js';
import { ArgumentError, describe, type M3lError } from '../errors.js';
import { scope } from '../scope.js';
import { Tensor } from '../tensor.js';
import { type NpyLayout, npyHeaderOf, readNpyLayout } from './npy-layout.js';
import { dtypeOfKind, numpyName, numpyRefusal } from './numpy-dtypes.js';
import { reversed } from './numpy-pickles.js';
import { corrupt, type FileSource, type Reading } from './source.js';
import { readValues, swapBytes, type Transfer, wordSize } from './tensor-bytes.js';
import { tensorBytes } from './tensor-chunks.js';

/** NumPy's own bound is 10,000. */
const LONGEST_HEADER = 1 << 14;
const MOST_DIMENSIONS = 64;

interface NpyHeader extends NpyLayout {
  readonly dtype: DType;
  readonly bytes: number;
}

/** Reads the array that fills a range of a file. */
export function* readNpy(
  file: FileSource,
  from = 0,
  to = file.size,
  transfer: Transfer = {},
): Reading<Tensor> {
  const head = yield* file.bytes(from, Math.min(to, from + LONGEST_HEADER + 12));
  const header = headerOf(head, file.path);
  const start = from + header.start;
  if (start + header.bytes !== to) {
    throw npyFault(file.path)(
      `it has ${to - start} bytes of values, and ${header.dtype} of shape [${header.shape}] takes ${header.bytes}`,
    );
  }
  const { dtype, bigEndian } = header;
  const values = {
    ...transfer,
    swap: bigEndian ? wordSize(dtype) : 1,
    crc: transfer.checkCrc ? crc32(head.subarray(0, header.start)) : 0,
  };
  const tensor = yield* readValues(file, [start, to], dtype, memoryShape(header), values);
  return inOrder(tensor, header);
}

/** The sizes in the order of the memory. */
function memoryShape({ fortran, shape }: NpyHeader): readonly number[] {
  return fortran ? [...shape].reverse() : shape;
}

/** As the array's dimensions are counted; the argument is disposed where it is not the result. */
function inOrder(tensor: Tensor, { fortran, shape }: NpyHeader): Tensor {
  if (!fortran || shape.length < 2) return tensor;
  try {
    return reversed(tensor);
  } finally {
    tensor.dispose();
  }
}

function npyFault(path: string): (reason: string) => M3lError {
  return (reason) => corrupt('M3L_NPY', path, 'array of NumPy', reason);
}

function headerOf(bytes: Uint8Array, path: string): NpyHeader {
  const fail = npyFault(path);
  const layout = readNpyLayout(bytes, fail);
  const { kind, shape } = layout;
  const dtype = kind === null ? undefined : dtypeOfKind(kind);
  if (dtype === undefined) throw fail(`it holds ${numpyRefusal(kind ?? 'V')}`);
  const extent = shape.reduce((product, size) => product * (size || 1), dtypeInfo(dtype).size);
  if (!Number.isSafeInteger(extent) || shape.length > MOST_DIMENSIONS) {
    throw fail(`its shape (${String(shape).slice(0, 80)}) is too large`);
  }
  return { ...layout, dtype, bytes: shape.includes(0) ? 0 : extent };
}

/** What a file of NumPy begins with for this tensor. */
function npyHeader(tensor: Tensor, where: string): Buffer {
  if (!(tensor instanceof Tensor)) {
    throw new ArgumentError(`${where}: found ${describe(tensor)}, expected a Tensor`);
  }
  const { dtype, shape } = tensor;
  const descr = numpyName(dtype);
  if (descr === undefined) {
    throw new ArgumentError(
      `${where}: found ${dtype}, which NumPy does not have; convert it first, as by x.to('float32')`,
    );
  }
  return npyHeaderOf(descr, shape);
}

/** The bytes of a tensor's file. */
export function* npyChunks(tensor: Tensor, where: string): Generator<Uint8Array> {
  yield npyHeader(tensor, where);
  yield* tensorBytes(tensor);
}

/** An array whose bytes are all here. */
export function npyOf(bytes: Uint8Array, path: string): Tensor {
  const header = headerOf(bytes, path);
  const { dtype, start, bytes: count } = header;
  const values = bytes.slice(start);
  if (values.length !== count) {
    throw npyFault(path)(`it has ${values.length} bytes of values, expected ${count}`);
  }
  if (header.bigEndian) swapBytes(values, wordSize(dtype));
  return scope(() => inOrder(fromBytes(values, dtype, memoryShape(header)), header));
}
