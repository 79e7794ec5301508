/**
 * The header of the safetensors format: 8 bytes with the length of a JSON text (little endian), the
 * text with dtype, shape and byte range of each tensor.
 * https://github.com/huggingface/safetensors#format
 */
import { type DType, dtypeInfo } from './dtype.js';
import { describe, M3lError } from './errors.js';
import { type FileSource, PAUSE, type Reading, readFile } from './files/source.js';
import { parseStrictJson } from './strict-json.js';

/** The format's names. */
export const dtypeNames: Partial<Record<DType, string>> = {
  float64: 'F64',
  float32: 'F32',
  float16: 'F16',
  bfloat16: 'BF16',
  float8_e5m2: 'F8_E5M2',
  float8_e4m3fn: 'F8_E4M3',
  float8_e5m2fnuz: 'F8_E5M2FNUZ',
  float8_e4m3fnuz: 'F8_E4M3FNUZ',
  float8_e8m0fnu: 'F8_E8M0',
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

/** An object of entries, each with lists: nothing lies deeper. */
const deepestHeader = 3;

/** What takes a few milliseconds. */
const ENTRIES_AT_ONCE = 512;

/** What operators of libtorch take. */
const mostDimensions = 64;

export interface SafetensorsEntry {
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** First byte and the one after the last, counted from the start of the file. */
  readonly range: readonly [start: number, end: number];
}

/** What a safetensors file says of its tensors, without their values. */
export interface SafetensorsHeader {
  readonly entries: ReadonlyMap<string, SafetensorsEntry>;
  readonly metadata: Record<string, string>;
}

/** Names, dtypes, shapes and metadata of a file, without its values. */
export function readSafetensorsHeader(path: string): SafetensorsHeader {
  return readFile(path, 'safetensors', readHeader);
}

/** Whether a file may be one: the length of a header that fits, then the header. */
export function isHeaderStart(start: Uint8Array, size: number): boolean {
  if (start.length < 9 || start[8] !== 0x7b) return false;
  const length = Number(Buffer.from(start).readBigUInt64LE());
  return length <= longestHeader && 8 + length <= size;
}

export function* readHeader(file: FileSource): Reading<SafetensorsHeader> {
  const { path, size } = file;
  if (size < 8) throw corrupt(path, `it has ${size} bytes, expected at least 8`);
  const start = yield* file.bytes(0, Math.min(size, 32));
  const length = Number(Buffer.from(start).readBigUInt64LE());
  if (length > longestHeader || 8 + length > size) {
    const other = otherFormat(start);
    if (other !== null) throw corrupt(path, `it is ${other}`);
    throw corrupt(path, `its header should have ${length} bytes, but the file has ${size}`);
  }
  const header = yield* parseHeader(path, yield* file.bytes(8, 8 + length));
  if (!isRecord(header)) throw corrupt(path, 'its header is not a JSON object');
  const { __metadata__, ...described } = header;
  const metadata = __metadata__ ?? {};
  if (!isStringRecord(metadata)) throw corrupt(path, '__metadata__ is not an object of strings');
  const values = 8 + length;
  const entries = new Map<string, SafetensorsEntry>();
  for (const [name, entry] of Object.entries(described)) {
    entries.set(name, parseEntry(path, name, entry, values));
    if (entries.size % ENTRIES_AT_ONCE === 0) yield PAUSE;
  }
  checkRanges(path, entries, values, size);
  return { entries, metadata };
}

const save = 'convert it in Python with safetensors.torch.save_file';

/** What files that are taken for safetensors begin with, and what they then are. */
const OTHER_FORMATS: readonly [start: string, what: string][] = [
  ['version https://git-lfs', 'a pointer of Git LFS, without the content: run `git lfs pull`'],
  ['PK\x03\x04', 'a zip archive, such as torch.save writes (.pt, .pth): torch.load reads it'],
  ['\x80\x02', 'a pickle, such as torch.save wrote before 1.6 (.pt, .pth): torch.load reads it'],
  ['\x93NUMPY', 'a NumPy array (.npy): torch.load reads it'],
  ['\x89HDF', `an HDF5 file (Keras): ${save}`],
  ['GGUF', 'a GGUF file (llama.cpp)'],
  ['<!DOCTYPE', 'a web page: the download was answered with it'],
  ['<html', 'a web page: the download was answered with it'],
];

function otherFormat(start: Uint8Array): string | null {
  const text = Buffer.from(start).toString('latin1');
  return OTHER_FORMATS.find(([magic]) => text.startsWith(magic))?.[1] ?? null;
}

function* parseHeader(path: string, bytes: Uint8Array): Reading<unknown> {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw corrupt(path, 'its header is not UTF-8');
  }
  try {
    return yield* parseStrictJson(text, deepestHeader);
  } catch (error) {
    const { message } = error as Error;
    throw corrupt(
      path,
      error instanceof SyntaxError
        ? `its header is not JSON: ${message}`
        : `its header: ${message}`,
    );
  }
}

function parseEntry(path: string, key: string, entry: unknown, start: number): SafetensorsEntry {
  const name = `'${key.slice(0, 200)}'`;
  if (!isRecord(entry)) throw corrupt(path, `${name} is not described by an object`);
  const { dtype: dtypeName, shape, data_offsets: offsets } = entry;
  const dtype = typeof dtypeName === 'string' ? dtypesByName.get(dtypeName) : undefined;
  if (dtype === undefined) {
    throw corrupt(
      path,
      `${name} has dtype ${describe(dtypeName)}, expected one of ${[...dtypesByName.keys()].join(', ')}`,
    );
  }
  if (!isSizes(shape) || shape.length > mostDimensions) {
    throw corrupt(path, `${name} has no valid shape`);
  }
  if (!isSizes(offsets) || offsets.length !== 2 || offsets[0]! > offsets[1]!) {
    throw corrupt(path, `${name} has no valid data_offsets`);
  }
  // Strides are products of sizes even where another size is 0.
  const elements = shape.reduce((product, size) => product * (size || 1), 1);
  const { size } = dtypeInfo(dtype);
  if (!Number.isSafeInteger(elements * size)) {
    throw corrupt(path, `${name} has shape [${shape}], which is too large`);
  }
  const expected = shape.includes(0) ? 0 : elements * size;
  const found = offsets[1]! - offsets[0]!;
  if (found !== expected) {
    throw corrupt(
      path,
      `${name} (${dtypeName}, shape [${shape}]) takes ${expected} bytes, but its offsets hold ${found}`,
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
      throw corrupt(
        path,
        `'${name.slice(0, 200)}' starts at byte ${range[0]}, expected ${end}, where the one before ends`,
      );
    }
    end = range[1];
  }
  if (end !== size) {
    const how = end > size ? 'truncated' : 'followed by bytes that belong to no tensor';
    throw corrupt(path, `it is ${how}: it has ${size} bytes, its header describes ${end}`);
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
