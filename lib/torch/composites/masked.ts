/**
 * `torch.masked`: reductions and normalisations of the elements where `mask`, which broadcasts to the
 * input, is true. Where none is, sums are 0, products 1, extremes infinite and means NaN.
 */
import { bindArguments, requireTensor } from '../arguments.js';
import { type DType, integerBounds, isFloatingDType } from '../dtype.js';
import { ArgumentError, describe } from '../errors.js';
import * as functions from '../generated/functions.js';
import { vectorNorm } from '../generated/linalg.js';
import { scope } from '../scope.js';
import type { Scalar, Tensor } from '../tensor.js';

/** Dimensions to reduce; null or none: all. */
type Dimensions = number | readonly number[] | null;

interface Masked {
  /** True where an element counts; default: everywhere. */
  mask?: Tensor | null;
  /** Of the result; default: the input's. */
  dtype?: DType | null;
}
export interface MaskedOptions extends Masked {
  keepdim?: boolean;
}
export interface MaskedReductionOptions extends MaskedOptions {
  dim?: Dimensions;
}
export interface MaskedVarianceOptions extends MaskedReductionOptions {
  unbiased?: boolean | null;
  correction?: number | null;
}

const MASKED = { keepdim: false, dtype: null as DType | null, mask: null as Tensor | null };
const CUMULATIVE = { dtype: MASKED.dtype, mask: MASKED.mask };

type Start = 'zero' | 'one' | 'least' | 'most' | 'nan';

/** The arguments of a function of this tensor, which is looked at first. */
function bound<T extends object>(
  where: string,
  self: Tensor,
  args: readonly unknown[],
  defaults: T,
  positional: number,
): T {
  requireTensor(self, where, 'input');
  return bindArguments(where, args, defaults, positional);
}

/** What does not change a reduction, in the input's dtype. */
function identity(start: Start, dtype: DType): Scalar {
  if (start === 'zero') return 0;
  if (start === 'one') return 1;
  if (start === 'nan') return Number.NaN;
  if (isFloatingDType(dtype)) return start === 'least' ? -Infinity : Infinity;
  const [least, most] = integerBounds(dtype);
  return start === 'least' ? least : most;
}

/** `mask` as booleans in the shape of the input. */
function wholeMask(self: Tensor, mask: Tensor, where: string): Tensor {
  requireTensor(mask, where, 'mask');
  if (mask.ndim > self.ndim) {
    throw new ArgumentError(
      `${where}: the mask has shape [${mask.shape}], expected one that broadcasts to [${self.shape}]`,
    );
  }
  return mask.bool().broadcastTo(self.shape);
}

/** The input with `start` where the mask is false. */
function filled(self: Tensor, mask: Tensor | null, start: Start, where: string): Tensor {
  requireTensor(self, where, 'input');
  if (mask === null) return self;
  return functions.where(wholeMask(self, mask, where), self, identity(start, self.dtype));
}

/** Which dimensions a reduction is over, from the first; none given: all. */
function dimensions(dim: Dimensions, ndim: number): number[] {
  const list = Array.isArray(dim)
    ? (dim as readonly number[])
    : dim === null
      ? []
      : [dim as number];
  if (!list.every(Number.isInteger)) {
    throw new ArgumentError(`masked: dim is ${describe(dim)}, expected integers, or null for all`);
  }
  if (list.length === 0) return Array.from({ length: ndim }, (_, i) => i);
  return list.map((d) => (d < 0 ? d + Math.max(ndim, 1) : d)).sort((a, b) => a - b);
}

type Reduction = (
  self: Tensor,
  dim?: Dimensions | MaskedReductionOptions,
  options?: MaskedOptions,
) => Tensor;

type Reduced = (self: Tensor, dims: number[], keepdim: boolean, dtype: DType | null) => Tensor;

function reduction(where: string, start: Start, reduce: Reduced): Reduction {
  return (self, ...args) => {
    const defaults = { dim: null as Dimensions, ...MASKED };
    const { dim, keepdim, dtype, mask } = bound(where, self, args, defaults, 1);
    return scope(() => {
      const input = filled(self, mask, start, where);
      return cast(reduce(input, dimensions(dim, self.ndim), keepdim, dtype), dtype);
    });
  };
}

function cast(result: Tensor, dtype: DType | null): Tensor {
  return dtype === null || result.dtype === dtype ? result : result.to(dtype);
}

export const sum = reduction('masked.sum', 'zero', (self, dims, keepdim, dtype) =>
  self.sum(dims, keepdim, { dtype }),
);
export const prod = reduction('masked.prod', 'one', (self, dims, keepdim, dtype) =>
  dims.reduceRight(
    (product, dim) => product.prod(dim, keepdim),
    dtype === null ? self : self.to(dtype),
  ),
);
export const amax = reduction('masked.amax', 'least', (self, dims, keepdim) =>
  self.amax(dims, keepdim),
);
export const amin = reduction('masked.amin', 'most', (self, dims, keepdim) =>
  self.amin(dims, keepdim),
);
export const logsumexp = reduction('masked.logsumexp', 'least', (self, dims, keepdim) =>
  self.logsumexp(dims, keepdim),
);

type Place = (
  self: Tensor,
  dim?: number | null | (MaskedOptions & { dim?: number | null }),
  options?: MaskedOptions,
) => Tensor;

function place(where: string, start: Start, name: 'argmax' | 'argmin'): Place {
  return (self, ...args) => {
    const defaults = { dim: null as number | null, ...MASKED };
    const { dim, keepdim, dtype, mask } = bound(where, self, args, defaults, 1);
    // Of the input's dtype unless another is asked for, as PyTorch's: floats for floats.
    return scope(() =>
      filled(self, mask, start, where)
        [name](dim, keepdim)
        .to(dtype ?? self.dtype),
    );
  };
}

export const argmax = place('masked.argmax', 'least', 'argmax');
export const argmin = place('masked.argmin', 'most', 'argmin');

type Along = (self: Tensor, dim: number, options?: Masked) => Tensor;

function along(
  where: string,
  start: Start,
  apply: (self: Tensor, dim: number, dtype: DType | null) => Tensor,
): Along {
  return (self, dim, ...args) => {
    const { dtype, mask } = bound(where, self, args, CUMULATIVE, 0);
    return scope(() => apply(filled(self, mask, start, where), dim, dtype));
  };
}

export const cumsum = along('masked.cumsum', 'zero', (self, dim, dtype) =>
  self.cumsum(dim, { dtype }),
);
export const cumprod = along('masked.cumprod', 'one', (self, dim, dtype) =>
  self.cumprod(dim, { dtype }),
);
export const softmax = along('masked.softmax', 'least', (self, dim, dtype) =>
  self.softmax(dim, dtype),
);
export const logSoftmax = along('masked.logSoftmax', 'least', (self, dim, dtype) =>
  self.logSoftmax(dim, dtype),
);
export const softmin = along('masked.softmin', 'most', (self, dim, dtype) =>
  self.neg().softmax(dim, dtype),
);

/** Elements that count: as many as the mask has true ones. */
function counted(self: Tensor, mask: Tensor | null, dims: number[], keepdim: boolean): Tensor {
  const ones = mask ?? functions.onesLike(self, { dtype: 'bool' });
  return ones.sum(dims, keepdim);
}

/** The mean; of elements of a floating dtype, unless `dtype` is one. */
export const mean: Reduction = (self, ...args) => {
  const where = 'masked.mean';
  const defaults = { dim: null as Dimensions, ...MASKED };
  const { dim, keepdim, dtype, mask } = bound(where, self, args, defaults, 1);
  return scope(() => {
    const dims = dimensions(dim, self.ndim);
    const whole = mask && wholeMask(self, mask, where);
    const total = filled(self, whole, 'zero', where).sum(dims, keepdim, { dtype });
    return total.div(counted(self, whole, dims, keepdim));
  });
};

/** The median along a dimension, by default the last. */
export function median(self: Tensor, dim?: number, options?: MaskedOptions): Tensor;
export function median(self: Tensor, ...args: unknown[]): Tensor {
  const where = 'masked.median';
  const { dim, keepdim, mask, dtype } = bound(where, self, args, { dim: -1, ...MASKED }, 1);
  return scope(() => {
    const floats = isFloatingDType(self.dtype) ? self : self.float();
    const { values } = filled(floats, mask, 'nan', where).nanmedian(dim, keepdim);
    if (floats === self) return values;
    if (!values.isnan().any().item()) return values.to(dtype ?? self.dtype);
    throw new ArgumentError(
      `${where}: a row of ${self.dtype} has no element that counts, and so no median: expected a floating dtype`,
    );
  });
}

/** The p-norm, by default the 2-norm. */
export function norm(
  self: Tensor,
  ord?: number | null,
  dim?: Dimensions | MaskedReductionOptions,
  options?: MaskedOptions,
): Tensor;
export function norm(self: Tensor, ...args: unknown[]): Tensor {
  const where = 'masked.norm';
  const defaults = { ord: 2 as number | null, dim: null as Dimensions, ...MASKED };
  const { ord, dim, keepdim, dtype, mask } = bound(where, self, args, defaults, 2);
  const p = ord ?? 2;
  return scope(() => {
    const input = filled(self, mask, p === -Infinity ? 'most' : 'zero', where);
    return vectorNorm(input, p, dimensions(dim, self.ndim), keepdim, { dtype });
  });
}

/** The vector divided by its p-norm along a dimension, which is at least `eps`. */
export function normalize(
  self: Tensor,
  ord: number,
  dim: number,
  options?: Masked & { eps?: number },
): Tensor;
export function normalize(self: Tensor, ord: number, dim: number, ...args: unknown[]): Tensor {
  const defaults = { eps: 1e-12, ...CUMULATIVE };
  const { eps, dtype, mask } = bound('masked.normalize', self, args, defaults, 0);
  return scope(() => {
    const length = norm(self, ord, dim, { keepdim: true, dtype, mask });
    return filled(self, mask, 'zero', 'masked.normalize').div(length.clamp(eps));
  });
}

type Spread = (
  self: Tensor,
  dim?: Dimensions | MaskedVarianceOptions,
  unbiased?: boolean | null | MaskedVarianceOptions,
  options?: MaskedVarianceOptions,
) => Tensor;

function spread(where: string, root: boolean): Spread {
  return (self, ...args) => {
    const own = { unbiased: null as boolean | null, correction: null as number | null };
    const defaults = { dim: null as Dimensions, ...own, ...MASKED };
    const { dim, unbiased, keepdim, dtype, mask, ...given } = bound(where, self, args, defaults, 2);
    const correction = given.correction ?? (unbiased === false ? 0 : 1);
    const floating = /float|complex/.test(dtype ?? self.dtype);
    return scope(() => {
      const dims = dimensions(dim, self.ndim);
      const input = floating ? cast(self, dtype) : self.float();
      const whole = mask && wholeMask(self, mask, where);
      const average = filled(input, whole, 'zero', where)
        .sum(dims, true)
        .div(counted(self, whole, dims, true));
      const off = input.sub(average);
      const squares = filled(off.mul(off.conj()), whole, 'zero', where).sum(dims, keepdim);
      const count = counted(self, whole, dims, keepdim).to(functions.real(squares).dtype);
      const variance = squares.div(correction === 0 ? count : count.sub(correction).clamp(0));
      return cast(root ? variance.sqrt() : variance, dtype);
    });
  };
}

/** `var` is a word of JavaScript's own: `masked.var` is exported under that name. */
const variance = spread('masked.var', false);

export { variance as var };
export const std = spread('masked.std', true);

/** log(exp(input) + exp(other)), each with a mask of its own. */
export function logaddexp(
  self: Tensor,
  other: Tensor,
  options?: { dtype?: DType | null; inputMask?: Tensor | null; otherMask?: Tensor | null },
): Tensor;
export function logaddexp(self: Tensor, other: Tensor, ...args: unknown[]): Tensor {
  const where = 'masked.logaddexp';
  const masks = { inputMask: null as Tensor | null, otherMask: null as Tensor | null };
  const defaults = { dtype: null as DType | null, ...masks };
  const { dtype, inputMask, otherMask } = bound(where, self, args, defaults, 0);
  return scope(() => {
    const a = filled(self, inputMask, 'least', where);
    const b = filled(other, otherMask, 'least', where);
    return cast(a.logaddexp(b), dtype);
  });
}
