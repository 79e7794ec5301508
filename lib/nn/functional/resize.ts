import { ArgumentError } from '../../torch/errors.js';
import type { Tensor } from '../../torch/index.js';
import * as torch from '../../torch/index.js';
import { withDefaults } from '../../torch/require.js';
import { requireChoice, requireNumbers, requireSizes, requireTensor } from '../check.js';
import type { Given } from '../layer.js';
import { expanded, type Sizes } from './shape.js';

export interface InterpolateOptions {
  /** Of the result, or its factor: one of the two. */
  size: Sizes | null;
  scaleFactor: Sizes | null;
  mode: 'nearest' | 'nearest-exact' | 'linear' | 'bilinear' | 'bicubic' | 'trilinear' | 'area';
  alignCorners: boolean | null;
  /** Take the factor from the rounded size instead of the one given. */
  recomputeScaleFactor: boolean | null;
  antialias: boolean;
}
export const INTERPOLATE: InterpolateOptions = {
  size: null,
  scaleFactor: null,
  mode: 'nearest',
  alignCorners: null,
  recomputeScaleFactor: null,
  antialias: false,
};

export type ResizeOptions = Pick<InterpolateOptions, 'size' | 'scaleFactor'>;
const RESIZE: ResizeOptions = { size: null, scaleFactor: null };

const NAMES: Record<string, string> = {
  'nearest 1': 'upsample_nearest1d',
  'nearest 2': 'upsample_nearest2d',
  'nearest 3': 'upsample_nearest3d',
  'nearest-exact 1': '_upsample_nearest_exact1d',
  'nearest-exact 2': '_upsample_nearest_exact2d',
  'nearest-exact 3': '_upsample_nearest_exact3d',
  'linear 1': 'upsample_linear1d',
  'bilinear 2': 'upsample_bilinear2d',
  'bicubic 2': 'upsample_bicubic2d',
  'trilinear 3': 'upsample_trilinear3d',
};

const MODES = ['nearest', 'nearest-exact', 'linear', 'bilinear', 'bicubic', 'trilinear', 'area'];

/** Throws ArgumentError for what no image can be resized to. */
export function requireResize(
  where: string,
  { size, scaleFactor, mode }: Pick<InterpolateOptions, 'size' | 'scaleFactor' | 'mode'>,
): void {
  requireChoice(where, 'mode', mode, MODES);
  if ((size === null) === (scaleFactor === null)) {
    throw new ArgumentError(
      `${where}: found ${size === null ? 'neither' : 'both'} of size and scaleFactor, expected one`,
    );
  }
  if (size !== null) requireSizes(where, 'size', size, Array.isArray(size) ? size.length : 1);
  const factors = typeof scaleFactor === 'number' ? [scaleFactor] : (scaleFactor ?? []);
  for (const factor of factors) requireNumbers(where, { scaleFactor: factor }, 0);
}

/** Resizes the spatial dimensions of [B,C,L], [B,C,H,W] or [B,C,D,H,W]. */
export function interpolate(x: Tensor, options: Given<InterpolateOptions> = {}): Tensor {
  const known = withDefaults('interpolate', INTERPOLATE, options);
  const { mode, alignCorners, antialias } = known;
  requireTensor('interpolate', x);
  const spatial = x.shape.slice(2);
  requireResize('interpolate', known);
  let size = known.size === null ? null : expanded(known.size, spatial.length);
  let scales = known.scaleFactor === null ? null : expanded(known.scaleFactor, spatial.length);
  if (scales && (known.recomputeScaleFactor || mode === 'area')) {
    size = spatial.map((side, dim) => Math.floor(side * scales![dim]!));
    scales = null;
  }
  if (mode === 'area') {
    if (spatial.length === 1) return torch.adaptiveAvgPool1d(x, size!);
    if (spatial.length === 2) return torch.adaptiveAvgPool2d(x, size!);
    return torch.adaptiveAvgPool3d(x, size!);
  }
  const name = NAMES[`${mode} ${spatial.length}`];
  if (!name) {
    throw new ArgumentError(
      `interpolate: found mode '${mode}' for shape [${x.shape}], expected nearest, nearest-exact or area, linear for 3 dimensions, bilinear or bicubic for 4, trilinear for 5`,
    );
  }
  if (mode.startsWith('nearest')) {
    if (alignCorners !== null || antialias) {
      throw new ArgumentError(
        `interpolate: found alignCorners or antialias with mode '${mode}', expected a linear or cubic mode for them`,
      );
    }
    return torch.ops.aten![name]!.vec!(x, size, scales) as Tensor;
  }
  if (antialias && spatial.length !== 2) {
    throw new ArgumentError(
      `interpolate: found antialias with mode '${mode}', expected bilinear or bicubic`,
    );
  }
  const operator = torch.ops.aten![antialias ? `_${name}_aa` : name]!.vec!;
  return operator(x, size, alignCorners ?? false, scales) as Tensor;
}

/** {@link interpolate} under its older name. */
export function upsample(
  x: Tensor,
  options: Given<Pick<InterpolateOptions, 'size' | 'scaleFactor' | 'mode' | 'alignCorners'>> = {},
): Tensor {
  const { size, scaleFactor, mode, alignCorners } = INTERPOLATE;
  const defaults = { size, scaleFactor, mode, alignCorners };
  return interpolate(x, withDefaults('upsample', defaults, options));
}

/** {@link interpolate} by the nearest value. */
export function upsampleNearest(x: Tensor, options: Given<ResizeOptions> = {}): Tensor {
  return interpolate(x, withDefaults('upsampleNearest', RESIZE, options));
}

/** {@link interpolate} bilinearly, with the corners of both images in one place. */
export function upsampleBilinear(x: Tensor, options: Given<ResizeOptions> = {}): Tensor {
  const known = withDefaults('upsampleBilinear', RESIZE, options);
  return interpolate(x, { ...known, mode: 'bilinear', alignCorners: true });
}
