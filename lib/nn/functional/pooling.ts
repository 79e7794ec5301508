/** Pooling of the last 1, 2 or 3 dimensions of [B,C,…] or [C,…]. */
import { ArgumentError } from '../../torch/errors.js';
import type { Tensor } from '../../torch/index.js';
import * as torch from '../../torch/index.js';
import { withDefaults } from '../../torch/require.js';
import { requireNumbers, requireRank, requireSizes, requireTensor } from '../check.js';
import type { Given } from '../layer.js';
import { expanded, type Sizes } from './shape.js';

export {
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

type Dims = 1 | 2 | 3;
interface Window {
  stride: Sizes | null;
  padding?: Sizes;
  dilation?: Sizes;
}

/** Throws ArgumentError for a window that no input has. */
export function requireWindow(where: string, dims: Dims, kernelSize: Sizes, window: Window): void {
  requireSizes(where, 'kernelSize', kernelSize, dims);
  if (window.stride !== null) requireSizes(where, 'stride', window.stride, dims);
  requireSizes(where, 'padding', window.padding ?? 0, dims, 0);
  requireSizes(where, 'dilation', window.dilation ?? 1, dims);
}

type Pool<Options> = (x: Tensor, kernelSize: Sizes, options?: Given<Options>) => Tensor;

function pooling<Options extends Window>(
  name: string,
  dims: Dims,
  defaults: Options,
  apply: (x: Tensor, kernelSize: Sizes, options: never) => Tensor,
): Pool<Options> {
  const where = `${name}${dims}d`;
  return (x, kernelSize, options = {}) => {
    const known = withDefaults<Options>(where, defaults, options);
    requireWindow(where, dims, kernelSize, known);
    return apply(x, kernelSize, { ...known, stride: known.stride ?? kernelSize } as never);
  };
}

export const maxPool1d = pooling('maxPool', 1, MAX_POOL, torch.maxPool1d);
export const maxPool2d = pooling('maxPool', 2, MAX_POOL, torch.maxPool2d);
export const maxPool3d = pooling('maxPool', 3, MAX_POOL, torch.maxPool3d);
export const avgPool1d = pooling('avgPool', 1, AVG_POOL_1D, torch.avgPool1d);
export const avgPool2d = pooling('avgPool', 2, AVG_POOL, torch.avgPool2d);
export const avgPool3d = pooling('avgPool', 3, AVG_POOL, torch.avgPool3d);

/** One number for all spatial dimensions, or one each, where null keeps the input's size. */
export type OutputSize = number | readonly (number | null)[];

export function requireOutput(where: string, dims: Dims, outputSize: OutputSize): void {
  const given = Array.isArray(outputSize) ? outputSize.map((side) => side ?? 1) : outputSize;
  requireSizes(where, 'outputSize', given, dims, 0);
}

function adaptive<Pooled>(
  name: string,
  dims: Dims,
  apply: (x: Tensor, outputSize: readonly number[]) => Pooled,
) {
  const where = `${name}${dims}d`;
  return (x: Tensor, outputSize: OutputSize): Pooled => {
    requireTensor(where, x);
    requireOutput(where, dims, outputSize);
    const sides = typeof outputSize === 'number' ? Array(dims).fill(outputSize) : outputSize;
    return apply(
      x,
      sides.map((side, i) => side ?? x.shape.at(i - dims)!),
    );
  };
}

export const adaptiveAvgPool1d = adaptive('adaptiveAvgPool', 1, torch.adaptiveAvgPool1d);
export const adaptiveAvgPool2d = adaptive('adaptiveAvgPool', 2, torch.adaptiveAvgPool2d);
export const adaptiveAvgPool3d = adaptive('adaptiveAvgPool', 3, torch.adaptiveAvgPool3d);
/** The largest values, and where they are in the flat spatial dimensions. */
export const adaptiveMaxPool1dWithIndices = adaptive('adaptiveMaxPool', 1, torch.adaptiveMaxPool1d);
export const adaptiveMaxPool2dWithIndices = adaptive('adaptiveMaxPool', 2, torch.adaptiveMaxPool2d);
export const adaptiveMaxPool3dWithIndices = adaptive('adaptiveMaxPool', 3, torch.adaptiveMaxPool3d);

export function adaptiveMaxPool1d(x: Tensor, outputSize: OutputSize): Tensor {
  return adaptiveMaxPool1dWithIndices(x, outputSize)[0];
}

export function adaptiveMaxPool2d(x: Tensor, outputSize: OutputSize): Tensor {
  return adaptiveMaxPool2dWithIndices(x, outputSize)[0];
}

export function adaptiveMaxPool3d(x: Tensor, outputSize: OutputSize): Tensor {
  return adaptiveMaxPool3dWithIndices(x, outputSize)[0];
}

/** The p-norm of each window: (Σ xᵖ)^(1/p). */
function lpPool(dims: Dims, average: Pool<AvgPool1dOptions>) {
  return (x: Tensor, normType: number, kernelSize: Sizes, options: Given<LPPoolOptions> = {}) => {
    const known = withDefaults(`lpPool${dims}d`, LP_POOL, options);
    requireTensor(`lpPool${dims}d`, x);
    requireNumbers(`lpPool${dims}d`, { normType });
    const mean = average(x.pow(normType), kernelSize, known);
    const area = expanded(kernelSize, dims).reduce((product, side) => product * side, 1);
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

export interface FractionalOptions {
  /** Of the result, or its ratio to the input's size: one of the two. */
  outputSize: Sizes | null;
  outputRatio: Sizes | null;
  /** Where the windows are, [B,C,dims] in [0, 1); drawn when left out. */
  randomSamples: Tensor | null;
}
export const FRACTIONAL: FractionalOptions = {
  outputSize: null,
  outputRatio: null,
  randomSamples: null,
};

export function requireFraction(
  where: string,
  dims: 2 | 3,
  kernelSize: Sizes,
  { outputSize, outputRatio }: Pick<FractionalOptions, 'outputSize' | 'outputRatio'>,
): void {
  requireSizes(where, 'kernelSize', kernelSize, dims);
  if (outputSize !== null) requireSizes(where, 'outputSize', outputSize, dims);
  if ((outputSize === null) === (outputRatio === null)) {
    throw new ArgumentError(
      `${where}: found ${outputSize === null ? 'neither' : 'both'} of outputSize and outputRatio, expected one`,
    );
  }
  if (outputRatio === null) return;
  for (const ratio of expanded(outputRatio, dims))
    requireNumbers(where, { outputRatio: ratio }, 0, 1);
}

type Fractional = (
  x: Tensor,
  kernel: readonly number[],
  outputSize: readonly number[],
  samples: Tensor,
) => [Tensor, Tensor];

/** The largest of windows at random places (Graham, 2014), and where they are. */
function fractional(dims: 2 | 3, apply: Fractional) {
  const where = `fractionalMaxPool${dims}d`;
  return (x: Tensor, kernelSize: Sizes, options: Given<FractionalOptions> = {}) => {
    const known = withDefaults(where, FRACTIONAL, options);
    requireRank(
      where,
      x,
      [dims + 1, dims + 2],
      dims === 2 ? '[B,C,H,W] or [C,H,W]' : '[B,C,D,H,W] or [C,D,H,W]',
    );
    requireFraction(where, dims, kernelSize, known);
    const sides = x.shape.slice(-dims);
    const ratios = expanded(known.outputRatio ?? 1, dims);
    const size = known.outputSize ?? sides.map((side, i) => Math.floor(side * ratios[i]!));
    const batch = x.ndim === dims + 1 ? 1 : x.shape[0]!;
    const draw = () =>
      torch.rand([batch, x.shape.at(-dims - 1)!, dims], { dtype: x.dtype, device: x.device });
    const samples = known.randomSamples ?? draw();
    return apply(x, expanded(kernelSize, dims), expanded(size, dims), samples);
  };
}

export const fractionalMaxPool2dWithIndices = fractional(2, torch.fractionalMaxPool2d);
export const fractionalMaxPool3dWithIndices = fractional(3, torch.fractionalMaxPool3d);

export function fractionalMaxPool2d(
  x: Tensor,
  kernelSize: Sizes,
  options: Given<FractionalOptions> = {},
): Tensor {
  return fractionalMaxPool2dWithIndices(x, kernelSize, options)[0];
}

export function fractionalMaxPool3d(
  x: Tensor,
  kernelSize: Sizes,
  options: Given<FractionalOptions> = {},
): Tensor {
  return fractionalMaxPool3dWithIndices(x, kernelSize, options)[0];
}
