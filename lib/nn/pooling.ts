import type { Tensor } from '../torch/index.js';
import * as F from './functional/pooling.js';
import type { Sizes } from './functional/shape.js';
import { layerWith } from './layer.js';

type Kernel = [kernelSize: Sizes];
type Output = [outputSize: Sizes];
const kernel = ['kernelSize'];
const output = ['outputSize'];

/** The largest of each window: [B,C,L] -> [B,C,L']. */
export class MaxPool1d extends layerWith<Kernel, F.MaxPoolOptions>(
  F.maxPool1d,
  kernel,
  F.MAX_POOL,
) {}
/** [B,C,H,W] -> [B,C,H',W']. */
export class MaxPool2d extends layerWith<Kernel, F.MaxPoolOptions>(
  F.maxPool2d,
  kernel,
  F.MAX_POOL,
) {}
export class MaxPool3d extends layerWith<Kernel, F.MaxPoolOptions>(
  F.maxPool3d,
  kernel,
  F.MAX_POOL,
) {}

/** The mean of each window. */
export class AvgPool1d extends layerWith<Kernel, F.AvgPool1dOptions>(
  F.avgPool1d,
  kernel,
  F.AVG_POOL_1D,
) {}
export class AvgPool2d extends layerWith<Kernel, F.AvgPoolOptions>(
  F.avgPool2d,
  kernel,
  F.AVG_POOL,
) {}
export class AvgPool3d extends layerWith<Kernel, F.AvgPoolOptions>(
  F.avgPool3d,
  kernel,
  F.AVG_POOL,
) {}

const adaptive = (apply: (x: Tensor, outputSize: Sizes) => Tensor) =>
  layerWith<Output, object>((x, size) => apply(x, size), output, {});

/** The mean of equal windows, as many as outputSize says. */
export class AdaptiveAvgPool1d extends adaptive(F.adaptiveAvgPool1d) {}
export class AdaptiveAvgPool2d extends adaptive(F.adaptiveAvgPool2d) {}
export class AdaptiveAvgPool3d extends adaptive(F.adaptiveAvgPool3d) {}
/** The largest of equal windows, as many as outputSize says. */
export class AdaptiveMaxPool1d extends adaptive(F.adaptiveMaxPool1d) {}
export class AdaptiveMaxPool2d extends adaptive(F.adaptiveMaxPool2d) {}
export class AdaptiveMaxPool3d extends adaptive(F.adaptiveMaxPool3d) {}

type Norm = [normType: number, kernelSize: Sizes];
const norm = ['normType', 'kernelSize'];

/** The p-norm of each window. */
export class LPPool1d extends layerWith<Norm, F.LPPoolOptions>(F.lpPool1d, norm, F.LP_POOL) {}
export class LPPool2d extends layerWith<Norm, F.LPPoolOptions>(F.lpPool2d, norm, F.LP_POOL) {}
export class LPPool3d extends layerWith<Norm, F.LPPoolOptions>(F.lpPool3d, norm, F.LP_POOL) {}
