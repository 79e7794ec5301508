/** Puts what is composed of operators on the prototype of Tensor, where the generated methods are. */
import type { DType, MemoryFormat } from '../dtype.js';
import { operator } from '../invoke.js';
import { Tensor } from '../tensor.js';
import { type LuOptions, type LuResults, lu } from './decompositions.js';
import { at, type IndexingMethods, rows, setAt } from './indexing.js';
import { type NormMethods, norm } from './norm.js';
import { type NonzeroMethods, nonzero } from './shapes.js';
import { type UniqueMethods, unique, uniqueConsecutive } from './unique.js';

export interface ConversionOptions {
  memoryFormat?: MemoryFormat;
}

/** The methods that are named for a dtype. */
const CONVERSIONS = {
  float: 'float32',
  double: 'float64',
  half: 'float16',
  bfloat16: 'bfloat16',
  byte: 'uint8',
  char: 'int8',
  short: 'int16',
  int: 'int32',
  long: 'int64',
  bool: 'bool',
  chalf: 'complex32',
  cfloat: 'complex64',
  cdouble: 'complex128',
} as const satisfies Record<string, DType>;

type Conversions = Record<keyof typeof CONVERSIONS, (options?: ConversionOptions) => Tensor>;

/** What Tensor has beside the operators: conversions, transposed views, Python's composites. */
export interface CompositeMethods
  extends Conversions,
    IndexingMethods,
    NormMethods,
    NonzeroMethods,
    UniqueMethods {
  /** The dimensions in the reverse order. */
  readonly T: Tensor;
  /** A matrix transposed and conjugated. */
  readonly H: Tensor;
  /** The last two dimensions exchanged. */
  readonly mT: Tensor;
  /** The last two dimensions exchanged, and conjugated. */
  readonly mH: Tensor;
  /** L and U of matrices in one tensor, and the exchanges of rows: see `torch.lu`. */
  lu<O extends LuOptions>(options?: O): LuResults<O>;
}

const VIEWS = { T: 'numpy_T', H: 'matrix_H', mT: 'mT', mH: 'mH' };
const METHODS = {
  at,
  lu,
  norm,
  nonzero,
  setAt,
  unique,
  uniqueConsecutive,
  [Symbol.iterator]: rows,
};

for (const [name, dtype] of Object.entries(CONVERSIONS)) {
  define(name, {
    value(this: Tensor, options: ConversionOptions = {}) {
      return this.to({ dtype, ...options });
    },
  });
}
for (const name of Reflect.ownKeys(METHODS)) {
  const method = METHODS[name as keyof typeof METHODS] as (
    self: Tensor,
    ...args: unknown[]
  ) => unknown;
  define(name, {
    value(this: Tensor, ...args: unknown[]) {
      return method(this, ...args);
    },
  });
}
for (const [name, schema] of Object.entries(VIEWS)) {
  const view = operator<(self: Tensor) => Tensor>(schema);
  define(name, {
    get(this: Tensor) {
      return view(this);
    },
  });
}

function define(name: string | symbol, property: PropertyDescriptor): void {
  const writable = 'value' in property ? { writable: true } : {};
  Object.defineProperty(Tensor.prototype, name, { ...property, ...writable, configurable: true });
}
