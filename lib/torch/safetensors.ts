/**
 * The safetensors format: 8 bytes with the length of a JSON header (little endian), the header with
 * dtype, shape and byte range of each tensor, the bytes.
 * https://github.com/huggingface/safetensors#format
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { writeAtomically } from './atomic-write.js';
import { fromBytes } from './creation.js';
import { type DType, dtypeInfo } from './dtype.js';
import { ArgumentError, describe, M3lError } from './errors.js';
import { Tensor } from './tensor.js';

/** The format's names. */
const dtypeNames: Partial<Record<DType, string>> = {
  float64: 'F64',
  float32: 'F32',
  float16: 'F16',
  bfloat16: 'BF16',
  float8_e5m2: 'F8_E5M2',
  float8_e4m3fn: 'F8_E4M3',
  complex64: 'C64',
  int64: 'I64',
  int32: 'I32',
  int16: 'I16',
  int8: 'I8',
  uint64: 'U64',
  uint32: 'U32',
  uint16: 'U16',
  uint8: 'U8',
  bool: 'BOOL',
};
const dtypesByName = new Map(
  Object.entries(dtypeNames).map(([dtype, name]) => [name, dtype as DType]),
);

/** The reference implementation's bound: a longer header is a corrupt length. */
const longestHeader = 100_000_000;

export interface Safetensors {
  tensors: Record<string, Tensor>;
  metadata: Record<string, string>;
}

export interface SafetensorsEntry {
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** First byte and the one after the last, counted from the start of the file. */
  readonly range: readonly [start: number, end: number];
}

export interface SafetensorsHeader {
  readonly entries: ReadonlyMap<string, SafetensorsEntry>;
  readonly metadata: Record<string, string>;
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
      for (const [name, { dtype, shape, range }] of entries) {
        tensors[name] = fromBytes(readRange(file, path, ...range), dtype, shape);
      }
    } catch (error) {
      for (const tensor of Object.values(tensors)) tensor.dispose();
      throw error;
    }
    return { tensors: { ...tensors }, metadata };
  });
}

/** Names, dtypes, shapes and metadata of a file, without its values. */
export function readSafetensorsHeader(path: string): SafetensorsHeader {
  return withFile(path, (file) => readHeader(file, path));
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
  for (const { tensor } of entries) {
    const values = tensor.toTypedArray();
    yield new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  }
}

function checkMetadata(metadata: Readonly<Record<string, string>>): object {
  for (const [key, value] of Object.entries(metadata)) {
    if (typeof value !== 'string') {
      throw new ArgumentError(
        `saveSafetensors: metadata '${key}' must be a string, found ${describe(value)}`,
      );
    }
  }
  return metadata;
}

function readHeader(file: number, path: string): SafetensorsHeader {
  const { size } = fstatSync(file);
  if (size < 8) throw corrupt(path, `it has ${size} bytes, expected at least 8`);
  const length = Number(Buffer.from(readRange(file, path, 0, 8)).readBigUInt64LE());
  if (length > longestHeader || 8 + length > size) {
    throw corrupt(path, `its header should have ${length} bytes, but the file has ${size}`);
  }
  const text = new TextDecoder().decode(readRange(file, path, 8, 8 + length));
  let header: unknown;
  try {
    header = JSON.parse(text);
  } catch (error) {
    throw corrupt(path, `its header is not JSON: ${(error as Error).message}`);
  }
  if (!isRecord(header)) throw corrupt(path, 'its header is not a JSON object');
  const { __metadata__: metadata = {}, ...described } = header;
  if (!isStringRecord(metadata)) throw corrupt(path, '__metadata__ is not an object of strings');
  const start = 8 + length;
  const entries = new Map(
    Object.entries(described).map(([name, entry]) => [name, parseEntry(path, name, entry, start)]),
  );
  checkRanges(path, entries, start, size);
  return { entries, metadata };
}

function parseEntry(path: string, name: string, entry: unknown, start: number): SafetensorsEntry {
  if (!isRecord(entry)) throw corrupt(path, `'${name}' is not described by an object`);
  const { dtype: dtypeName, shape, data_offsets: offsets } = entry;
  const dtype = dtypesByName.get(String(dtypeName));
  if (dtype === undefined) {
    throw corrupt(
      path,
      `'${name}' has dtype ${describe(dtypeName)}, expected one of ${[...dtypesByName.keys()].join(', ')}`,
    );
  }
  if (!isSizes(shape)) throw corrupt(path, `'${name}' has no valid shape`);
  if (!isSizes(offsets) || offsets.length !== 2 || offsets[0]! > offsets[1]!) {
    throw corrupt(path, `'${name}' has no valid data_offsets`);
  }
  const expected = shape.reduce((product, size) => product * size, dtypeInfo(dtype).size);
  const found = offsets[1]! - offsets[0]!;
  if (found !== expected) {
    throw corrupt(
      path,
      `'${name}' (${dtypeName}, shape [${shape}]) takes ${expected} bytes, but its offsets hold ${found}`,
    );
  }
  return { dtype, shape, range: [start + offsets[0]!, start + offsets[1]!] };
}

/** The ranges must follow each other without holes and end with the file. */
function checkRanges(
  path: string,
  entries: ReadonlyMap<string, SafetensorsEntry>,
  start: number,
  size: number,
): void {
  const sorted = [...entries].sort(
    ([, a], [, b]) => a.range[0] - b.range[0] || a.range[1] - b.range[1],
  );
  let end = start;
  for (const [name, { range }] of sorted) {
    if (range[0] !== end) {
      throw corrupt(path, `'${name}' starts at byte ${range[0]}, expected ${end}`);
    }
    end = range[1];
  }
  if (end !== size) {
    const how = end > size ? 'truncated' : 'followed by bytes that belong to no tensor';
    throw corrupt(path, `it is ${how}: it has ${size} bytes, its header describes ${end}`);
  }
}

function readRange(file: number, path: string, start: number, end: number): Uint8Array {
  const bytes = new Uint8Array(end - start);
  for (let at = 0; at < bytes.length; ) {
    const read = readSync(file, bytes, at, Math.min(1 << 30, bytes.length - at), start + at);
    if (read === 0) throw corrupt(path, `it ended at byte ${start + at}, expected ${end}`);
    at += read;
  }
  return bytes;
}

function withFile<T>(path: string, use: (file: number) => T): T {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch (error) {
    throw new M3lError('M3L_READ_FAILED', `${path} cannot be opened: ${(error as Error).message}`, {
      cause: error,
    });
  }
  try {
    return use(file);
  } finally {
    closeSync(file);
  }
}

function corrupt(path: string, reason: string): M3lError {
  return new M3lError('M3L_SAFETENSORS', `${path} is not a valid safetensors file: ${reason}`);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isStringRecord(value: unknown): value is Record<string, string> {
  return isRecord(value) && Object.values(value).every((item) => typeof item === 'string');
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((item) => Number.isSafeInteger(item) && item >= 0);
}
