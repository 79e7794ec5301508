/** NumPy's element types and ours. */
import type { DType } from '../dtype.js';

const dtypesByKind: Readonly<Record<string, DType>> = {
  b1: 'bool',
  i1: 'int8',
  i2: 'int16',
  i4: 'int32',
  i8: 'int64',
  u1: 'uint8',
  u2: 'uint16',
  u4: 'uint32',
  u8: 'uint64',
  f2: 'float16',
  f4: 'float32',
  f8: 'float64',
  c8: 'complex64',
  c16: 'complex128',
};

const kinds = new Map(Object.entries(dtypesByKind).map(([kind, dtype]) => [dtype, kind]));

/** The dtype of a kind and size such as `f4`, without the mark of the byte order. */
export function dtypeOfKind(kind: string): DType | undefined {
  return Object.hasOwn(dtypesByKind, kind) ? dtypesByKind[kind] : undefined;
}

/** NumPy's name of a dtype in little-endian order; undefined where NumPy has none. */
export function numpyName(dtype: DType): string | undefined {
  const kind = kinds.get(dtype);
  if (kind === undefined) return undefined;
  return `${kind.endsWith('1') ? '|' : '<'}${kind}`;
}

/** Why an element type of NumPy's has no tensor, and what to do. */
export function numpyRefusal(kind: string): string {
  const letter = kind[0] ?? '';
  if (letter === 'O') return 'Python objects (pickled, and nothing of a file is executed)';
  if (letter === 'U' || letter === 'S' || letter === 'a')
    return `text (${kind}), and tensors hold numbers`;
  if (letter === 'M' || letter === 'm') return `dates or times (${kind}); save x.astype('int64')`;
  if (letter === 'V') return `raw or structured elements (${kind}); save the fields by themselves`;
  return `elements of ${kind.slice(0, 40)}, which tensors do not have; save x.astype('float64')`;
}
