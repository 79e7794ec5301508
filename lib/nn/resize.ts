import type { Tensor } from '../torch/index.js';
import {
  INTERPOLATE,
  type InterpolateOptions,
  interpolate,
  requireResize,
} from './functional/resize.js';
import type { Sizes } from './functional/shape.js';
import { type Given, layerOf } from './layer.js';

const { antialias: _, ...UPSAMPLE } = INTERPOLATE;

/** Resizes the spatial dimensions of [B,C,…] to a size or by a factor. */
export class Upsample extends layerOf<Omit<InterpolateOptions, 'antialias'>>(
  interpolate,
  UPSAMPLE,
  requireResize,
) {}

type To = Pick<InterpolateOptions, 'size' | 'scaleFactor'>;
const to = (fixed: Given<InterpolateOptions>) =>
  layerOf<To>(
    (x: Tensor, options: Given<To>) => interpolate(x, { ...options, ...fixed }),
    { size: null as Sizes | null, scaleFactor: null },
    (where, options) => requireResize(where, { ...options, mode: 'nearest' }),
  );

/** Resizes [B,C,H,W] by repetition. */
export class UpsamplingNearest2d extends to({ mode: 'nearest' }) {}
/** Corners are aligned. */
export class UpsamplingBilinear2d extends to({ mode: 'bilinear', alignCorners: true }) {}
