/** Pooling of the last 1, 2 or 3 dimensions of [B,C,…] or [C,…]. */
import type { Tensor } from '../../torch/index.js';
import * as torch from '../../torch/index.js';
import { withDefaults } from '../../torch/require.js';
import type { Given } from '../layer.js';
import { expanded, type Sizes } from './shape.js';

export {
  adaptiveAvgPool1d,
  adaptiveAvgPool2d,
  adaptiveAvgPool3d,
  maxPool1dWithIndices,
  maxPool2dWithIndices,
  maxPool3dWithIndices,
} from '../../torch/index.js';

export interface MaxPoolOptions {
  /** Null: the kernel's size. */
  stride: Sizes | null;
  padding: Sizes;
  dilation: Sizes;
  ceilMode: boolean;
}
export const MAX_POOL: MaxPoolOptions = { stride: null, padding: 0, dilation: 1, ceilMode: false };

export interface AvgPool1dOptions {
  /** Null: the kernel's size. */
  stride: Sizes | null;
  padding: Sizes;
  ceilMode: boolean;
  countIncludePad: boolean;
}
export interface AvgPoolOptions extends AvgPool1dOptions {
  /** What to divide by instead of the number of values. */
  divisorOverride: number | null;
}
export const AVG_POOL_1D: AvgPool1dOptions = {
  stride: null,
  padding: 0,
  ceilMode: false,
  countIncludePad: true,
};
export const AVG_POOL: AvgPoolOptions = { ...AVG_POOL_1D, divisorOverride: null };

export interface LPPoolOptions {
  stride: Sizes | null;
  ceilMode: boolean;
}
export const LP_POOL: LPPoolOptions = { stride: null, ceilMode: false };

type Pool<Options> = (x: Tensor, kernelSize: Sizes, options?: Given<Options>) => Tensor;

function pooling<Options extends { stride: Sizes | null }>(
  where: string,
  defaults: Options,
  apply: (x: Tensor, kernelSize: Sizes, options: never) => Tensor,
): Pool<Options> {
  return (x, kernelSize, options = {}) => {
    const known = withDefaults<Options>(where, defaults, options);
    return apply(x, kernelSize, { ...known, stride: known.stride ?? kernelSize } as never);
  };
}

export const maxPool1d = pooling('maxPool1d', MAX_POOL, torch.maxPool1d);
export const maxPool2d = pooling('maxPool2d', MAX_POOL, torch.maxPool2d);
export const maxPool3d = pooling('maxPool3d', MAX_POOL, torch.maxPool3d);
export const avgPool1d = pooling('avgPool1d', AVG_POOL_1D, torch.avgPool1d);
export const avgPool2d = pooling('avgPool2d', AVG_POOL, torch.avgPool2d);
export const avgPool3d = pooling('avgPool3d', AVG_POOL, torch.avgPool3d);

export function adaptiveMaxPool1d(x: Tensor, outputSize: Sizes): Tensor {
  return torch.adaptiveMaxPool1d(x, outputSize)[0];
}

export function adaptiveMaxPool2d(x: Tensor, outputSize: Sizes): Tensor {
  return torch.adaptiveMaxPool2d(x, outputSize)[0];
}

export function adaptiveMaxPool3d(x: Tensor, outputSize: Sizes): Tensor {
  return torch.adaptiveMaxPool3d(x, outputSize)[0];
}

/** The p-norm of each window: (Σ xᵖ)^(1/p). */
function lpPool(count: 1 | 2 | 3, average: Pool<AvgPool1dOptions>) {
  return (x: Tensor, normType: number, kernelSize: Sizes, options: Given<LPPoolOptions> = {}) => {
    const known = withDefaults(`lpPool${count}d`, LP_POOL, options);
    const area = expanded(kernelSize, count).reduce((product, side) => product * side, 1);
    const mean = average(x.pow(normType), kernelSize, known);
    return mean
      .sign()
      .mul(mean.abs().relu())
      .mul(area)
      .pow(1 / normType);
  };
}

export const lpPool1d = lpPool(1, avgPool1d);
export const lpPool2d = lpPool(2, avgPool2d);
export const lpPool3d = lpPool(3, avgPool3d);
