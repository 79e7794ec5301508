/** `torch.sparse`: products, sums and softmax of sparse tensors. */
import type { DType } from '../dtype.js';
import { operator } from '../invoke.js';
import type { NumberList } from '../scalar.js';
import type { Scalar, Tensor } from '../tensor.js';

/** How the products that meet in one element are put together. */
export type SparseReduction = 'sum' | 'mean' | 'amax' | 'amin';
export interface ProductOptions {
  /** Of the matrix that is added; default 1. */
  beta?: Scalar;
  /** Of the product; default 1. */
  alpha?: Scalar;
}

/** A sparse matrix times a matrix; `reduce`, for CSR on the CPU, puts the products together otherwise. */
export const mm: {
  (sparse: Tensor, dense: Tensor): Tensor;
  (sparse: Tensor, dense: Tensor, reduce: SparseReduction): Tensor;
} = operator('_sparse_mm', '', 'reduce');

/** `beta · self + alpha · mat1 · mat2` with a sparse `mat1`. */
export const addmm: (self: Tensor, mat1: Tensor, mat2: Tensor, options?: ProductOptions) => Tensor =
  operator('_sparse_addmm');

/** `alpha · mat1 · mat2` at the places that the CSR matrix `self` has, and `beta · self`. */
export const sampledAddmm: (
  self: Tensor,
  mat1: Tensor,
  mat2: Tensor,
  options?: ProductOptions,
) => Tensor = operator('sparse_sampled_addmm');

/** The sum of all elements, or along dimensions: then sparse where a sparse dimension stays. */
export const sum: {
  (self: Tensor, options?: { dtype?: DType }): Tensor;
  (self: Tensor, dim: NumberList, options?: { dtype?: DType }): Tensor;
} = operator('_sparse_sum', '', 'dim', 'dtype', 'dim_dtype');

/** Softmax along a dimension; what is not stored is −∞. */
export const softmax: (self: Tensor, dim: number, dtype?: DType | null) => Tensor = operator(
  '_sparse_softmax',
  'int',
);

/** The logarithm of `softmax`. */
export const logSoftmax: (self: Tensor, dim: number, dtype?: DType | null) => Tensor = operator(
  '_sparse_log_softmax',
  'int',
);
