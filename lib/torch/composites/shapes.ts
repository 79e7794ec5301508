/** Shapes, places and sums over them. */
import { bindArguments, requireTensor } from '../arguments.js';
import { ArgumentError, describe } from '../errors.js';
import { operator } from '../invoke.js';
import { scope } from '../scope.js';
import type { Tensor } from '../tensor.js';

/** The shape that tensors of these shapes have together. Throws M3L_ARGUMENT where they have none. */
export function broadcastShapes(...shapes: (number | readonly number[])[]): number[] {
  const lists = shapes.map((shape) => sizesOf(shape, 'broadcastShapes'));
  const result = new Array<number>(Math.max(0, ...lists.map(({ length }) => length))).fill(1);
  for (const list of lists) {
    const first = result.length - list.length;
    list.forEach((size, i) => {
      const known = result[first + i]!;
      if (size !== 1 && known !== 1 && size !== known) {
        throw new ArgumentError(
          `broadcastShapes: [${lists.join('], [')}] have ${known} and ${size} in dimension ${first + i}, expected equal sizes or 1`,
        );
      }
      if (size !== 1) result[first + i] = size;
    });
  }
  return result;
}

function sizesOf(shape: number | readonly number[], where: string): readonly number[] {
  const sizes = Array.isArray(shape) ? (shape as readonly number[]) : [shape as number];
  if (sizes.every((size) => Number.isInteger(size) && size >= 0)) return sizes;
  throw new ArgumentError(`${where}: found ${describe(shape)}, expected sizes, at least 0 each`);
}

/** The index in each dimension of a tensor of this shape, for places in its row-major order. */
export function unravelIndex(indices: Tensor, shape: number | readonly number[]): Tensor[] {
  requireTensor(indices, 'unravelIndex', 'indices');
  const sizes = sizesOf(shape, 'unravelIndex');
  if (/float|complex|bool/.test(indices.dtype)) {
    throw new ArgumentError(`unravelIndex: indices are ${indices.dtype}, expected integers`);
  }
  const steps = sizes.map((_, i) =>
    sizes.slice(i + 1).reduce((product, size) => product * size, 1),
  );
  return scope(() => sizes.map((size, i) => indices.long().floorDivide(steps[i]!).remainder(size)));
}

const plainNonzero = operator<(self: Tensor) => Tensor>('nonzero');
const nonzeroByDimension = operator<(self: Tensor) => Tensor[]>('nonzero_numpy');

/** `nonzero` as a method. */
export interface NonzeroMethods {
  /** The places that are not zero, [count, dimensions]; `asTuple`: the index in each dimension, [count] each. */
  nonzero(options?: { asTuple?: false }): Tensor;
  nonzero(options: { asTuple: true }): Tensor[];
}

/** The places that are not zero, [count, dimensions]; `asTuple`: the index in each dimension, [count] each. */
export function nonzero(self: Tensor, options?: { asTuple?: false }): Tensor;
export function nonzero(self: Tensor, options: { asTuple: true }): Tensor[];
export function nonzero(self: Tensor, ...args: unknown[]): Tensor | Tensor[] {
  const { asTuple } = bindArguments('nonzero', args, { asTuple: false }, 0);
  return asTuple ? nonzeroByDimension(self) : plainNonzero(self);
}

const contract =
  operator<(a: Tensor, b: Tensor, dimsA: readonly number[], dimsB: readonly number[]) => Tensor>(
    'tensordot',
  );

/** How many dimensions to sum over, the last of one with the first of the other, or which of each. */
export type ContractedDimensions =
  | number
  | readonly [readonly number[], readonly number[]]
  | Tensor;

/** The sum of products over dimensions of both. Default: the last two of `a` with the first two of `b`. */
export function tensordot(
  a: Tensor,
  b: Tensor,
  dims?: ContractedDimensions | { dims?: ContractedDimensions },
): Tensor;
export function tensordot(a: Tensor, b: Tensor, ...args: unknown[]): Tensor {
  const defaults: { dims: ContractedDimensions } = { dims: 2 };
  const { dims } = bindArguments('tensordot', args, defaults);
  const [dimsA, dimsB] = contracted(dims as unknown);
  return contract(a, b, dimsA, dimsB);
}

function contracted(dims: unknown): [number[], number[]] {
  const plain = Array.isArray(dims) || typeof dims === 'number' ? dims : listed(dims);
  if (Array.isArray(plain) && plain.length === 2 && plain.every(Array.isArray)) {
    return plain as [number[], number[]];
  }
  const count = Array.isArray(plain) && plain.length === 1 ? plain[0] : plain;
  if (!Number.isInteger(count) || count < 0 || count > 64) {
    throw new ArgumentError(
      `tensordot: dims is ${JSON.stringify(plain)}, expected how many, or two lists of dimensions`,
    );
  }
  const places = Array.from({ length: count }, (_, i) => i);
  return [places.map((i) => i - count), places];
}

function listed(dims: unknown): unknown {
  requireTensor(dims, 'tensordot', 'dims');
  return dims.toArray();
}
