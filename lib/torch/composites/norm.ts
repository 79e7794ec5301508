/** `norm` as PyTorch's Python has it: by a number or a name. */
import { bindArguments } from '../arguments.js';
import type { DType } from '../dtype.js';
import { matrixNorm, vectorNorm } from '../generated/linalg.js';
import type { NumberList } from '../scalar.js';
import type { Tensor } from '../tensor.js';

/** A p, or 'fro' (the default, 2) or 'nuc' (the sum of the singular values of a matrix). */
export type NormOrder = number | 'fro' | 'nuc' | null;

export interface NormOptions {
  p?: NormOrder;
  /** Dimensions to reduce; null: all. */
  dim?: NumberList | null;
  keepdim?: boolean;
  dtype?: DType | null;
}

/** `norm` as a method. */
export interface NormMethods {
  /** The p-norm of the elements along dimensions. */
  norm(options?: NormOptions): Tensor;
  norm(p: NormOrder, options?: NormOptions): Tensor;
  norm(p: NormOrder, dim: NumberList | null, options?: NormOptions): Tensor;
  norm(p: NormOrder, dim: NumberList | null, keepdim: boolean, options?: NormOptions): Tensor;
}

/** The p-norm of the elements along dimensions. */
export function norm(self: Tensor, options?: NormOptions): Tensor;
export function norm(self: Tensor, p: NormOrder, options?: NormOptions): Tensor;
export function norm(
  self: Tensor,
  p: NormOrder,
  dim: NumberList | null,
  options?: NormOptions,
): Tensor;
export function norm(
  self: Tensor,
  p: NormOrder,
  dim: NumberList | null,
  keepdim: boolean,
  options?: NormOptions,
): Tensor;
export function norm(self: Tensor, ...args: unknown[]): Tensor {
  if (args.length === 0) return vectorNorm(self);
  const defaults: Required<NormOptions> = { p: 'fro', dim: null, keepdim: false, dtype: null };
  const { p, dim, keepdim, dtype } = bindArguments('norm', args, defaults);
  if (p !== 'nuc') return vectorNorm(self, p === 'fro' ? 2 : (p ?? 2), dim, keepdim, { dtype });
  const dims = dim ?? self.shape.map((_, i) => i);
  return matrixNorm(self, 'nuc', dims, keepdim, { dtype });
}
