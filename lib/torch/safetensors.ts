/**
 * The safetensors format: 8 bytes with the length of a JSON header (little endian), the header with
 * dtype, shape and byte range of each tensor, the bytes.
 * https://github.com/huggingface/safetensors#format
 */
import { writeAtomically } from './atomic-write.js';
import { fromBytes } from './creation.js';
import { dtypeInfo } from './dtype.js';
import { ArgumentError, describe } from './errors.js';
import { empty } from './generated/functions.js';
import { requireObject, requireText } from './require.js';
import {
  dtypeNames,
  readHeader,
  readRange,
  type SafetensorsEntry,
  withFile,
} from './safetensors-header.js';
import { scope } from './scope.js';
import { Tensor } from './tensor.js';

/** Tensors of more bytes are read and written in pieces: a typed array ends at 4 GiB. */
const LARGEST_PIECE = 1 << 30;

export interface Safetensors {
  tensors: Record<string, Tensor>;
  metadata: Record<string, string>;
}

/**
 * Reads all tensors of a file onto the CPU, in the current scope. Throws M3L_SAFETENSORS for a file that
 * is truncated or does not follow the format, M3L_READ_FAILED where it cannot be read.
 */
export function loadSafetensors(path: string): Safetensors {
  return withFile(path, (file) => {
    const { entries, metadata } = readHeader(file, path);
    const tensors: Record<string, Tensor> = Object.create(null);
    try {
      for (const [name, entry] of entries) tensors[name] = readTensor(file, path, entry);
    } catch (error) {
      for (const tensor of Object.values(tensors)) tensor.dispose();
      throw error;
    }
    return { tensors: { ...tensors }, metadata };
  });
}

/**
 * Writes tensors and string metadata to a file, atomically: a full disk or a kill leaves the old file.
 * Throws M3L_WRITE_FAILED where the file cannot be written, M3L_ARGUMENT for a dtype without a form.
 */
export function saveSafetensors(
  path: string,
  tensors: Readonly<Record<string, Tensor>>,
  metadata: Readonly<Record<string, string>> = {},
): void {
  requireText(path, 'saveSafetensors', 'the path of a file');
  requireObject(tensors, 'saveSafetensors', 'tensors by name');
  requireObject(metadata, 'saveSafetensors', 'metadata: strings by name');
  const entries = Object.entries(tensors).map(([name, tensor]) => describeEntry(name, tensor));
  // Wider elements first, so that every tensor is aligned to its element size.
  entries.sort((a, b) => b.itemSize - a.itemSize || (a.name < b.name ? -1 : 1));
  writeAtomically(path, fileChunks(entries, metadata));
}

interface EntryToWrite {
  name: string;
  tensor: Tensor;
  dtypeName: string;
  itemSize: number;
  shape: readonly number[];
  bytes: number;
}

function describeEntry(name: string, tensor: unknown): EntryToWrite {
  if (!(tensor instanceof Tensor)) {
    throw new ArgumentError(
      `saveSafetensors: '${name}' must be a Tensor, found ${describe(tensor)}`,
    );
  }
  requireWhole(name);
  const { dtype, shape } = tensor;
  const dtypeName = dtypeNames[dtype];
  if (dtypeName === undefined || name === '__metadata__') {
    throw new ArgumentError(
      dtypeName === undefined
        ? `saveSafetensors: '${name}' is ${dtype}, which safetensors has no form for; convert it first`
        : "saveSafetensors: '__metadata__' cannot be the name of a tensor",
    );
  }
  const itemSize = dtypeInfo(dtype).size;
  const bytes = shape.reduce((product, size) => product * size, itemSize);
  return { name, tensor, dtypeName, itemSize, shape, bytes };
}

function* fileChunks(
  entries: readonly EntryToWrite[],
  metadata: Readonly<Record<string, string>>,
): Generator<Uint8Array> {
  const header: Record<string, unknown> = Object.create(null);
  if (Object.keys(metadata).length > 0) header.__metadata__ = checkMetadata(metadata);
  let offset = 0;
  for (const { name, dtypeName, shape, bytes } of entries) {
    header[name] = { dtype: dtypeName, shape, data_offsets: [offset, offset + bytes] };
    offset += bytes;
  }
  const json = Buffer.from(JSON.stringify(header), 'utf8');
  const padded = Buffer.alloc(Math.ceil(json.length / 8) * 8, ' ');
  json.copy(padded);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(padded.length));
  yield length;
  yield padded;
  for (const { tensor, bytes, itemSize } of entries) {
    if (bytes <= LARGEST_PIECE) yield bytesOf(tensor);
    else yield* pieces(tensor, Math.floor(LARGEST_PIECE / itemSize));
  }
}

/** The bytes of a tensor, so many elements at a time. */
function* pieces(tensor: Tensor, most: number): Generator<Uint8Array> {
  const flat = scope(() => tensor.detach().reshape([-1]));
  try {
    const [count] = flat.shape;
    for (let at = 0; at < count!; at += most) {
      yield scope(() => bytesOf(flat.narrow(0, at, Math.min(most, count! - at))));
    }
  } finally {
    flat.dispose();
  }
}

function bytesOf(tensor: Tensor): Uint8Array {
  const values = tensor.toTypedArray();
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

function readTensor(file: number, path: string, entry: SafetensorsEntry): Tensor {
  const { dtype, shape, range } = entry;
  const [start, end] = range;
  if (end - start <= LARGEST_PIECE)
    return fromBytes(readRange(file, path, start, end), dtype, shape);
  const { size } = dtypeInfo(dtype);
  return scope(() => {
    const count = (end - start) / size;
    const most = Math.floor(LARGEST_PIECE / size);
    const flat = empty([count], { dtype });
    for (let at = 0; at < count; at += most) {
      const until = Math.min(count, at + most);
      scope(() => {
        const bytes = readRange(file, path, start + at * size, start + until * size);
        flat.narrow(0, at, until - at).copy_(fromBytes(bytes, dtype));
      });
    }
    return flat.reshape(shape);
  });
}

/** Half a pair of UTF-16 has no UTF-8, which the file's text is in. */
function requireWhole(text: string): void {
  if (!/\p{Surrogate}/u.test(text)) return;
  const shown = JSON.stringify(text.slice(0, 60));
  throw new ArgumentError(
    `saveSafetensors: ${shown} holds half of a surrogate pair, expected text that UTF-8 can hold`,
  );
}

function checkMetadata(metadata: Readonly<Record<string, string>>): object {
  for (const [key, value] of Object.entries(metadata)) {
    if (typeof value !== 'string') {
      throw new ArgumentError(
        `saveSafetensors: metadata '${key}' must be a string, found ${describe(value)}`,
      );
    }
    requireWhole(key);
    requireWhole(value);
  }
  return metadata;
}
