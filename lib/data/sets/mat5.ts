/**
 * MATLAB files of version 5 to 7.2, as far as data sets need them: numbers, text, cells and structs.
 * Those of version 7.3 are HDF5: see `hdf5.ts`.
 */

import { readFileSync } from 'node:fs';
import { inflateSync } from 'node:zlib';
import { DataError } from '../errors.js';

export type MatValue =
  | { readonly kind: 'numbers'; readonly values: readonly number[] }
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'cell'; readonly items: readonly MatValue[] }
  | { readonly kind: 'struct'; readonly items: readonly Record<string, MatValue>[] }
  /** Objects, sparse matrices and fields that were not asked for. */
  | { readonly kind: 'other' };

/** A stored element: what type, and where its bytes are. */
interface Element {
  readonly type: number;
  readonly start: number;
  readonly end: number;
  /** Where the next one begins. */
  readonly next: number;
}

const HEADER = 128;
const [INT8, MATRIX, COMPRESSED] = [1, 14, 15];
/** Classes of arrays. */
const [CELL, STRUCT, CHAR, DOUBLE, UINT64] = [1, 2, 4, 6, 15];
const DEEPEST = 32;
/** What one variable may come to, unpacked. */
const MOST_BYTES = 2 ** 30;

/** How numbers of a type are read: bytes, and the reader. */
const NUMBERS: Record<number, [number, (view: DataView, at: number) => number]> = {
  1: [1, (view, at) => view.getInt8(at)],
  2: [1, (view, at) => view.getUint8(at)],
  3: [2, (view, at) => view.getInt16(at, true)],
  4: [2, (view, at) => view.getUint16(at, true)],
  5: [4, (view, at) => view.getInt32(at, true)],
  6: [4, (view, at) => view.getUint32(at, true)],
  7: [4, (view, at) => view.getFloat32(at, true)],
  9: [8, (view, at) => view.getFloat64(at, true)],
  12: [8, (view, at) => Number(view.getBigInt64(at, true))],
  13: [8, (view, at) => Number(view.getBigUint64(at, true))],
  // UTF-8 and UTF-16, as characters of text.
  16: [1, (view, at) => view.getUint8(at)],
  17: [2, (view, at) => view.getUint16(at, true)],
};

/**
 * The variables of a MATLAB file.
 * @param fields of structs, those that are read; absent: all. Arrays of thousands of structs hold
 *   fields that are large and of no use here
 * @throws DataError M3L_MAT_FORMAT
 */
export function readMat5(file: string, fields?: readonly string[]): Record<string, MatValue> {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    throw unreadable(file, (error as Error).message);
  }
  const head = bytes.toString('latin1', 0, 10);
  if (!head.startsWith('MATLAB 5.0') || bytes.toString('latin1', 126, 128) !== 'IM') {
    throw unreadable(
      file,
      head.startsWith('MATLAB 7.3') ? 'it is of version 7.3' : 'its first bytes are others',
    );
  }
  const wanted = fields && new Set(fields);
  const found: Record<string, MatValue> = {};
  try {
    for (let at = HEADER; at + 8 <= bytes.length; ) {
      const element = elementAt(bytes, at, bytes.length);
      at = element.next;
      const inner = element.type === COMPRESSED ? unpacked(bytes, element) : bytes;
      const matrix = element.type === COMPRESSED ? elementAt(inner, 0, inner.length) : element;
      if (matrix.type !== MATRIX) continue;
      const { name, value } = new MatrixReader(inner, wanted).read(matrix, 0);
      found[name] = value;
    }
  } catch (error) {
    if (error instanceof DataError) throw error;
    throw unreadable(file, (error as Error).message);
  }
  return found;
}

class MatrixReader {
  private readonly view: DataView;

  constructor(
    private readonly bytes: Buffer,
    private readonly wanted: ReadonlySet<string> | undefined,
  ) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  read(matrix: Element, depth: number): { name: string; value: MatValue } {
    // An empty cell is a matrix without anything in it.
    if (matrix.start === matrix.end) return { name: '', value: { kind: 'numbers', values: [] } };
    if (depth > DEEPEST) throw new Error(`arrays lie more than ${DEEPEST} deep in one another`);
    const flags = elementAt(this.bytes, matrix.start, matrix.end);
    const dimensions = elementAt(this.bytes, flags.next, matrix.end);
    const named = elementAt(this.bytes, dimensions.next, matrix.end);
    const name = this.bytes.toString('latin1', named.start, named.end);
    const kind = this.bytes[flags.start]!;
    const count = this.numbers(dimensions).reduce((product, side) => product * side, 1);
    return { name, value: this.value(kind, count, named.next, matrix.end, depth) };
  }

  private value(kind: number, count: number, at: number, end: number, depth: number): MatValue {
    if (kind === CELL) {
      return { kind: 'cell', items: this.matrices(count, at, end, depth, () => true).items };
    }
    if (kind === STRUCT) return this.struct(count, at, end, depth);
    if (kind === CHAR) {
      const stored = elementAt(this.bytes, at, end);
      if (stored.type === INT8 || stored.type === 16) {
        return { kind: 'text', text: this.bytes.toString('utf8', stored.start, stored.end) };
      }
      return { kind: 'text', text: String.fromCharCode(...this.numbers(stored)) };
    }
    if (kind >= DOUBLE && kind <= UINT64) {
      return { kind: 'numbers', values: this.numbers(elementAt(this.bytes, at, end)) };
    }
    return { kind: 'other' };
  }

  private struct(count: number, at: number, end: number, depth: number): MatValue {
    const length = elementAt(this.bytes, at, end);
    const [width = 0] = this.numbers(length);
    const names = elementAt(this.bytes, length.next, end);
    if (width < 1) throw new Error(`names of ${width} characters`);
    const keys = Array.from({ length: Math.floor((names.end - names.start) / width) }, (_, i) => {
      const start = names.start + i * width;
      return this.bytes.toString('latin1', start, start + width).replace(/\0.*$/s, '');
    });
    const reads = (index: number) => this.wanted?.has(keys[index % keys.length]!) ?? true;
    const { items } = this.matrices(count * keys.length, names.next, end, depth, reads);
    return {
      kind: 'struct',
      items: Array.from({ length: keys.length === 0 ? 0 : count }, (_, row) =>
        Object.fromEntries(keys.map((key, column) => [key, items[row * keys.length + column]!])),
      ),
    };
  }

  private matrices(
    count: number,
    start: number,
    end: number,
    depth: number,
    reads: (index: number) => boolean,
  ): { items: MatValue[] } {
    const items: MatValue[] = [];
    let at = start;
    for (let index = 0; index < count; index++) {
      const matrix = elementAt(this.bytes, at, end);
      items.push(reads(index) ? this.read(matrix, depth + 1).value : { kind: 'other' });
      at = matrix.next;
    }
    return { items };
  }

  private numbers({ type, start, end }: Element): number[] {
    const reader = NUMBERS[type];
    if (reader === undefined) throw new Error(`numbers of the unknown type ${type}`);
    const [size, read] = reader;
    return Array.from({ length: Math.floor((end - start) / size) }, (_, i) =>
      read(this.view, start + i * size),
    );
  }
}

/** The element at a place; small ones have their bytes within the tag. */
function elementAt(bytes: Buffer, at: number, end: number): Element {
  if (at + 8 > end) throw new Error('it ends within an element: copy or download it again');
  const word = bytes.readUInt32LE(at);
  const small = word >>> 16;
  if (small > 0) {
    if (small > 4) throw new Error(`a small element of ${small} bytes`);
    return { type: word & 0xffff, start: at + 4, end: at + 4 + small, next: at + 8 };
  }
  const length = bytes.readUInt32LE(at + 4);
  const start = at + 8;
  if (start + length > end) throw new Error('it is cut short: copy or download it again');
  // All but compressed ones are filled up to 8 bytes.
  const padded = word === COMPRESSED ? length : Math.ceil(length / 8) * 8;
  return { type: word, start, end: start + length, next: start + padded };
}

function unpacked(bytes: Buffer, { start, end }: Element): Buffer {
  return inflateSync(bytes.subarray(start, end), { maxOutputLength: MOST_BYTES });
}

function unreadable(file: string, reason: string): DataError {
  return new DataError(
    'M3L_MAT_FORMAT',
    `${file}: cannot be read (${reason}), expected a MATLAB file of version 5 to 7.2. ` +
      'Take the file as it is downloaded.',
  );
}
