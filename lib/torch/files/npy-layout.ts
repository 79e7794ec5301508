/**
 * The header of NumPy's arrays (.npy): a magic number, a version, a dictionary in Python's syntax; the
 * values follow. https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
 */

export const NPY_MAGIC = '\x93NUMPY';

/** How an array lies in its file. */
export interface NpyLayout {
  /** Kind and size of the elements, such as `f4`; null where they are structures. */
  readonly kind: string | null;
  /** The same as the header has it, with the mark of the byte order. */
  readonly descr: string;
  readonly bigEndian: boolean;
  readonly shape: readonly number[];
  /** Columns before rows: the first index runs fastest. */
  readonly fortran: boolean;
  /** Where the values begin, counted from the start of the array. */
  readonly start: number;
}

/** Values begin at a multiple of it. */
const ALIGNMENT = 64;

/** What comes before the values of an array of version 1, of C's order. @param descr such as `<f4` */
export function npyHeaderOf(descr: string, shape: readonly number[]): Buffer {
  const sizes = shape.length === 1 ? `${shape[0]},` : shape.join(', ');
  const literal = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${sizes}), }`;
  const length = Math.ceil((10 + literal.length + 1) / ALIGNMENT) * ALIGNMENT - 10;
  const header = Buffer.alloc(10 + length, ' ');
  header.write(`${NPY_MAGIC}\x01\x00`, 'latin1');
  header.writeUInt16LE(length, 8);
  header.write(literal, 10, 'latin1');
  header.write('\n', header.length - 1);
  return header;
}

/**
 * What the first bytes of an array say of it.
 * @param fail makes the error that is thrown where they say nothing sound
 */
export function readNpyLayout(bytes: Uint8Array, fail: (reason: string) => Error): NpyLayout {
  const head = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  if (head.toString('latin1', 0, 6) !== NPY_MAGIC || head.length < 12) {
    throw fail("it does not begin with \\x93NUMPY and a header's length");
  }
  const major = head[6]!;
  if (major < 1 || major > 3) throw fail(`it has the version ${major}, expected 1 to 3`);
  const text = major === 1 ? 10 : 12;
  const length = major === 1 ? head.readUInt16LE(8) : head.readUInt32LE(8);
  const start = text + length;
  if (start > head.length) throw fail(`its header of ${length} bytes is cut short or too long`);
  const literal = head.toString(major === 3 ? 'utf8' : 'latin1', text, start);
  return { ...parseLiteral(literal, fail), start };
}

/** `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`, with nothing else in it. */
const DESCR = String.raw`'descr'\s*:\s*(?<descr>'[^']*'|\[[^\n]*?\]|\([^\n]*?\))`;
const ORDER = String.raw`'fortran_order'\s*:\s*(?<order>True|False)`;
const SHAPE = String.raw`'shape'\s*:\s*\((?<shape>[\dL, ]*)\)`;

function parseLiteral(text: string, fail: (reason: string) => Error): Omit<NpyLayout, 'start'> {
  const find = (pattern: string) => new RegExp(pattern).exec(text)?.groups ?? {};
  const { descr } = find(DESCR);
  const { order } = find(ORDER);
  const { shape: sizes } = find(SHAPE);
  if (descr === undefined || order === undefined || sizes === undefined) {
    throw fail(`its header is ${JSON.stringify(text.slice(0, 120))}`);
  }
  const kind = /^'[<>|=]/.test(descr) ? descr.slice(2, -1) : null;
  const shape = sizes
    .split(',')
    .flatMap((size) => (size.trim() === '' ? [] : [Number.parseInt(size, 10)]));
  return { kind, descr, bigEndian: descr[1] === '>', shape, fortran: order === 'True' };
}
