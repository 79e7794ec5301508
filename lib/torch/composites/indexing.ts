/** `x.at(…)` and `x.setAt(…, value)`: indices as Python's in brackets. */
import { requireTensor } from '../arguments.js';
import { tensor } from '../creation.js';
import { ArgumentError, describe, M3lError } from '../errors.js';
import { index as gather, indexPut_, scalarTensor } from '../generated/functions.js';
import { TypedScalar } from '../scalar.js';
import { scope } from '../scope.js';
import { type Scalar, Tensor } from '../tensor.js';

type Bound = number | '';
/** `start:stop` or `start:stop:step`, each of which may be left out; a negative bound is from the end. */
export type Range = `${Bound}:${Bound}` | `${Bound}:${Bound}:${Bound}`;

/** Whole numbers, or true for each place that is meant, nested as deep as one likes. */
export type IndexList = readonly (number | boolean | IndexList)[];

/**
 * One index: a place (negative: from the end), a range, null for a new dimension of size 1, '...' for all
 * dimensions that no other index is for, several places, or a mask.
 */
export type Index = number | bigint | boolean | null | '...' | Range | IndexList | Tensor;

/** Indexing as methods. */
export interface IndexingMethods {
  /**
   * The part that the indices say, as `x[…]` in Python: `x.at('1:3', null, '...', [0, 2], mask)`. A view of
   * the same memory unless a list, a mask or another tensor is among the indices.
   * @throws M3lError M3L_INDEX for a place that a dimension does not have, or more indices than dimensions
   */
  at(...indices: Index[]): Tensor;
  /**
   * Writes a value, which broadcasts, to the part that the indices say, as `x[…] = value` in Python.
   * Gives the tensor itself.
   * @throws M3lError M3L_INDEX as `at`
   */
  setAt(...args: [...indices: Index[], value: Tensor | Scalar]): this;
  /** The slices along the first dimension. */
  [Symbol.iterator](): IterableIterator<Tensor>;
}

/** See {@link IndexingMethods}. */
export function at(self: Tensor, ...indices: Index[]): Tensor {
  if (indices.length === 1 && typeof indices[0] === 'number') return select(self, 0, indices[0], 0);
  return scope(() => {
    const { view, lists } = part(self, indices);
    if (lists.length > 0) return gather(view, lists);
    return view === self ? self.alias() : view;
  });
}

/** See {@link IndexingMethods}. */
export function setAt(self: Tensor, ...args: unknown[]): Tensor {
  if (args.length === 0) throw new ArgumentError('Tensor.setAt: found no value to write');
  const value = args.at(-1);
  scope(() => {
    const { view, lists } = part(self, args.slice(0, -1));
    const source = written(value, self);
    if (lists.length > 0) indexPut_(view, lists, withoutLeadingOnes(source.to(self.dtype), 0));
    else view.copy_(withoutLeadingOnes(source, view.ndim));
  });
  return self;
}

/** Slices along the first dimension, as iterating in Python. */
export function rows(self: Tensor): IterableIterator<Tensor> {
  if (self.ndim > 0) return self.unbind(0)[Symbol.iterator]();
  throw new M3lError(
    'M3L_INDEX',
    'Tensor: iteration over a tensor without dimensions; use item() for its value',
  );
}

interface Part {
  /** What the places, ranges and new dimensions leave. */
  view: Tensor;
  /** Lists and masks by dimension of `view`, null where there is none. */
  lists: (Tensor | null)[];
}

function part(self: Tensor, given: readonly unknown[]): Part {
  const indices = given.map((index) => (Array.isArray(index) ? listed(index, self) : index));
  const used = indices.reduce<number>((sum, index) => sum + dimensionsOf(index), 0);
  const rest = self.ndim - used;
  if (rest < 0) {
    throw new M3lError(
      'M3L_INDEX',
      `Tensor.at: ${used} dimensions are indexed, but the shape [${self.shape}] has ${self.ndim}`,
    );
  }
  if (indices.filter((index) => index === '...').length > 1) {
    throw new M3lError('M3L_INDEX', "Tensor.at: found '...' twice, expected it at most once");
  }
  const lists: (Tensor | null)[] = [];
  let view = self;
  let dim = 0;
  const skip = (count: number) => {
    dim += count;
    if (lists.length > 0) lists.push(...Array<null>(count).fill(null));
  };
  const record = (list: Tensor) => {
    if (lists.length === 0) lists.push(...Array<null>(dim).fill(null));
    lists.push(list);
    dim += isMask(list) ? list.ndim : 1;
  };
  indices.forEach((index, i) => {
    if (index === null) {
      view = view.unsqueeze(dim);
      skip(1);
    } else if (index === '...') skip(rest);
    else if (typeof index === 'string') {
      view = slice(view, dim, index);
      skip(1);
    } else if (typeof index === 'boolean') {
      view = view.unsqueeze(dim);
      record(tensor(index ? [0n] : [], { dtype: 'int64', device: self.device }));
    } else if (!(index instanceof Tensor)) {
      view = select(view, dim, index, i);
    } else if (index.ndim > 0) {
      record(index);
    } else if (isMask(index)) {
      view = view.unsqueeze(dim);
      record(index.reshape([1]));
    } else view = select(view, dim, index.item(), i);
  });
  return { view, lists };
}

/** How many dimensions of the tensor an index is for. */
function dimensionsOf(index: unknown): number {
  if (index === null || index === '...' || typeof index === 'boolean') return 0;
  return index instanceof Tensor && isMask(index) ? index.ndim : 1;
}

function isMask({ dtype }: Tensor): boolean {
  return dtype === 'bool' || dtype === 'uint8';
}

function select(view: Tensor, dim: number, index: unknown, place: number): Tensor {
  const at = typeof index === 'bigint' ? Number(index) : index;
  if (typeof at !== 'number' || !Number.isInteger(at)) {
    throw new ArgumentError(
      `Tensor.at: index ${place} is ${describe(index)}, expected an integer, 'start:stop:step', null, '...', an array, a mask or a Tensor`,
    );
  }
  const size = view.shape[dim];
  if (size === undefined || at < -size || at >= size) {
    const found = size === undefined ? `the shape [${view.shape}]` : `dimension ${place}`;
    throw new M3lError(
      'M3L_INDEX',
      `Tensor.at: index ${at} is out of range for ${found}${size === undefined ? '' : ` with size ${size}: expected ${-size} to ${size - 1}`}`,
    );
  }
  return view.select(dim, at);
}

const RANGE = /^\s*([+-]?\d+)?\s*:\s*([+-]?\d+)?\s*(?::\s*([+-]?\d+)?\s*)?$/;

function slice(view: Tensor, dim: number, range: string): Tensor {
  const match = RANGE.exec(range);
  if (match === null) {
    throw new ArgumentError(
      `Tensor.at: found the index '${range}', expected 'start:stop:step', each of which may be left out, or '...'`,
    );
  }
  const [start, stop, step] = match.slice(1).map((bound) => (bound ? Number(bound) : null));
  if ((step ?? 1) < 1) {
    throw new ArgumentError(
      `Tensor.at: the range '${range}' has a step of ${step}, expected at least 1; flip() turns a dimension round`,
    );
  }
  if (view.ndim === 0) return select(view, dim, 0, dim);
  return view.slice(dim, start, stop, step ?? 1);
}

/** Places or booleans as a tensor; numbers in range, which libtorch's error does not say so well. */
function listed(index: unknown[], self: Tensor): Tensor {
  const flat = index.flat(Number.POSITIVE_INFINITY);
  const masks = flat.length > 0 && flat.every((item) => typeof item === 'boolean');
  const whole = flat.every((item) => Number.isInteger(item) || typeof item === 'bigint');
  if (masks || whole) {
    const dtype = masks ? 'bool' : 'int64';
    return tensor(index as never, { dtype, device: self.device });
  }
  throw new ArgumentError(
    `Tensor.at: found the array ${JSON.stringify(index)?.slice(0, 80)}, expected integers or booleans alone`,
  );
}

function written(value: unknown, self: Tensor): Tensor {
  const { dtype, device } = self;
  const scalar = value instanceof TypedScalar || /number|bigint|boolean/.test(typeof value);
  if (scalar) return scalarTensor(value as Scalar, { dtype, device });
  requireTensor(value, 'Tensor.setAt', 'value');
  return value;
}

/** A value may have more dimensions than what it is written to, where these are of size 1. */
function withoutLeadingOnes(value: Tensor, most: number): Tensor {
  if (most > 0 && value.ndim <= most) return value;
  const { shape } = value;
  const first = shape.findIndex((size) => size !== 1);
  return value.view(first < 0 ? [] : shape.slice(first));
}
