import { requireCounts, requireSizes } from './check.js';
import * as F from './functional/shape.js';
import { layerOf, layerWith } from './layer.js';

/** Joins dimensions startDim..endDim: [B,C,H,W] -> [B,C·H·W] by default. */
export class Flatten extends layerOf(F.flatten, { startDim: 1, endDim: -1 }) {}

/** Splits a dimension into several: [.., n1·n2, ..] -> [.., n1, n2, ..]. */
export class Unflatten extends layerWith<[dim: number, sizes: readonly number[]], object>(
  (x, dim, sizes) => F.unflatten(x, dim, sizes),
  ['dim', 'sizes'],
  {},
  (where, dim, sizes) => {
    requireSizes(where, 'dim', dim, 1, Number.NEGATIVE_INFINITY);
    requireSizes(where, 'sizes', sizes, sizes.length, -1);
  },
) {}

/** [B, C·r², H, W] -> [B, C, H·r, W·r]. */
export class PixelShuffle extends layerWith<[upscaleFactor: number], object>(
  (x, factor) => F.pixelShuffle(x, factor),
  ['upscaleFactor'],
  {},
  (where, upscaleFactor) => requireCounts(where, { upscaleFactor }),
) {}

/** [B, C, H·r, W·r] -> [B, C·r², H, W]. */
export class PixelUnshuffle extends layerWith<[downscaleFactor: number], object>(
  (x, factor) => F.pixelUnshuffle(x, factor),
  ['downscaleFactor'],
  {},
  (where, downscaleFactor) => requireCounts(where, { downscaleFactor }),
) {}

/** Deals the channels of [B,C,…] out over groups. */
export class ChannelShuffle extends layerWith<[groups: number], object>(
  (x, groups) => F.channelShuffle(x, groups),
  ['groups'],
  {},
  (where, groups) => requireCounts(where, { groups }),
) {}

/** Windows of [B,C,H,W] as columns [B, C·kernel area, windows]. */
export class Unfold extends layerWith<[kernelSize: F.Sizes], F.WindowOptions>(
  F.unfold,
  ['kernelSize'],
  F.WINDOW_DEFAULTS,
  F.requireWindows,
) {}

/** Sums columns [B, C·kernel area, windows] back where they came from: [B,C,...outputSize]. */
export class Fold extends layerWith<[outputSize: F.Sizes, kernelSize: F.Sizes], F.WindowOptions>(
  F.fold,
  ['outputSize', 'kernelSize'],
  F.WINDOW_DEFAULTS,
  (where, outputSize, kernelSize, options) => {
    requireSizes(where, 'outputSize', outputSize, 2);
    F.requireWindows(where, kernelSize, options);
  },
) {}
