/** Factorisations that PyTorch's Python composes of others. */
import { bindArguments, requireTensor } from '../arguments.js';
import { ArgumentError } from '../errors.js';
import { randn } from '../generated/functions.js';
import { qr, svd } from '../generated/linalg.js';
import { operator } from '../invoke.js';
import { scope } from '../scope.js';
import type { Tensor } from '../tensor.js';

type LuWithInfo = [LU: Tensor, pivots: Tensor, info: Tensor] & {
  readonly LU: Tensor;
  readonly pivots: Tensor;
  readonly info: Tensor;
};

const luWithInfo =
  operator<(self: Tensor, pivot: boolean, checkErrors: boolean) => LuWithInfo>('_lu_with_info');

export interface LuOptions {
  /** Exchange rows; without, on CUDA only. Default true. */
  pivot?: boolean;
  /** Also the places where it failed, instead of an error. */
  getInfos?: boolean;
}

export type LuResults<O extends LuOptions> = O extends { getInfos: true }
  ? LuWithInfo
  : [LU: Tensor, pivots: Tensor];

/** L and U of matrices [*, m, n] in one tensor, and the exchanges of rows, from 1, [*, min(m, n)]. */
export function lu<O extends LuOptions>(self: Tensor, options?: O): LuResults<O>;
export function lu(self: Tensor, pivot: boolean, getInfos: true): LuWithInfo;
export function lu(self: Tensor, pivot: boolean, getInfos?: false): LuResults<LuOptions>;
export function lu(self: Tensor, ...args: unknown[]): unknown {
  const defaults = { pivot: true, getInfos: false };
  const { pivot, getInfos } = bindArguments('lu', args, defaults);
  const results = luWithInfo(self, pivot, !getInfos);
  if (getInfos) return results;
  results.info.dispose();
  return results.slice(0, 2);
}

type LowRank = [U: Tensor, S: Tensor, V: Tensor];

export interface SvdLowrankOptions {
  /** A little more than the rank: the columns of the result. Default 6. */
  q?: number;
  /** Iterations of the subspace. Default 2. */
  niter?: number;
  /** Subtracted from the matrix. */
  M?: Tensor | null;
}

/**
 * U [*, m, q], S [*, q] and V [*, n, q] of matrices [*, m, n] of a low rank, by random projection: Halko,
 * Martinsson and Tropp (2011), algorithm 5.1.
 */
export function svdLowrank(self: Tensor, options?: SvdLowrankOptions): LowRank;
export function svdLowrank(self: Tensor, q: number, options?: SvdLowrankOptions): LowRank;
export function svdLowrank(self: Tensor, ...args: unknown[]): LowRank {
  const defaults: Required<SvdLowrankOptions> = { q: 6, niter: 2, M: null };
  const { q, niter, M } = bindArguments('svdLowrank', args, defaults);
  requireMatrix(self, 'svdLowrank');
  return scope(() => lowRank(M === null ? self : self.sub(M), q, niter));
}

export interface PcaLowrankOptions {
  /** Default: 6, or the smaller size where that is less. */
  q?: number | null;
  /** Subtract the mean of each column first: the default. */
  center?: boolean;
  niter?: number;
}

/**
 * The principal components of the rows of matrices [*, m, n], as `svdLowrank`.
 * @throws ArgumentError where q is beyond the smaller size
 */
export function pcaLowrank(self: Tensor, options?: PcaLowrankOptions): LowRank;
export function pcaLowrank(self: Tensor, q: number | null, options?: PcaLowrankOptions): LowRank;
export function pcaLowrank(self: Tensor, ...args: unknown[]): LowRank {
  const defaults: Required<PcaLowrankOptions> = { q: null, center: true, niter: 2 };
  const { q, center, niter } = bindArguments('pcaLowrank', args, defaults);
  requireMatrix(self, 'pcaLowrank');
  const least = Math.min(self.size(-2), self.size(-1));
  const count = q ?? Math.min(6, least);
  if (!Number.isInteger(count) || count < 0 || count > least) {
    throw new ArgumentError(`pcaLowrank: q is ${count}, expected an integer from 0 to ${least}`);
  }
  return scope(() => lowRank(center ? self.sub(self.mean([-2], true)) : self, count, niter));
}

function requireMatrix(self: Tensor, where: string): void {
  requireTensor(self, where, 'input');
  if (self.ndim >= 2) return;
  throw new ArgumentError(`${where}: found the shape [${self.shape}], expected [*, m, n]`);
}

function lowRank(matrix: Tensor, q: number, niter: number): LowRank {
  const wide = matrix.size(-2) < matrix.size(-1);
  const tall = wide ? matrix.mH : matrix;
  const Q = basis(tall, q, niter);
  const { U, S, Vh } = svd(Q.mH.matmul(tall), false);
  const [left, right] = [Q.matmul(U), Vh.mH];
  return wide ? [right, S, left] : [left, S, right];
}

/** Orthonormal columns that span nearly what the matrix does: algorithm 4.4. */
function basis(matrix: Tensor, q: number, niter: number): Tensor {
  const { dtype, device } = matrix;
  const random = randn([matrix.size(-1), q], { dtype, device });
  let Q = qr(matrix.matmul(random)).Q;
  for (let i = 0; i < niter; i++) {
    Q = qr(matrix.mH.matmul(Q)).Q;
    Q = qr(matrix.matmul(Q)).Q;
  }
  return Q;
}
