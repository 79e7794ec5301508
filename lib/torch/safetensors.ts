/**
 * The safetensors format: 8 bytes with the length of a JSON header (little endian), the header with
 * dtype, shape and byte range of each tensor, the bytes.
 * https://github.com/huggingface/safetensors#format
 */
import { writeAtomically } from './atomic-write.js';
import { dtypeInfo } from './dtype.js';
import { ArgumentError, describe } from './errors.js';
import { readFile } from './files/source.js';
import { tensorBytes } from './files/tensor-chunks.js';
import { requireObject, requireText } from './require.js';
import { dtypeNames } from './safetensors-header.js';
import { readSafetensors, type Safetensors } from './safetensors-reader.js';
import { Tensor } from './tensor.js';

/**
 * Reads all tensors of a file onto the CPU, in the current scope. Throws M3L_SAFETENSORS for a file that
 * is truncated or does not follow the format, M3L_READ_FAILED where it cannot be read.
 */
export function loadSafetensors(path: string): Safetensors {
  return readFile(path, 'loadSafetensors', (file) => readSafetensors(file));
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
  for (const { tensor } of entries) yield* tensorBytes(tensor);
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
