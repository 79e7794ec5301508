/** Rearrangements. */
import type { Tensor } from '../../torch/index.js';
import * as torch from '../../torch/index.js';
import { withDefaults } from '../../torch/require.js';
import { requireSizes } from '../check.js';
import type { Given } from '../layer.js';

export {
  channelShuffle,
  flatten,
  oneHot,
  pixelShuffle,
  pixelUnshuffle,
  unflatten,
} from '../../torch/index.js';

/** One number for every spatial dimension, or a list of one each. */
export type Sizes = torch.NumberList;

export interface WindowOptions {
  dilation: Sizes;
  padding: Sizes;
  stride: Sizes;
}
export const WINDOW_DEFAULTS: WindowOptions = { dilation: 1, padding: 0, stride: 1 };

/** A number, or a list of one, repeated for each of `count` dimensions; other lists as they are. */
export function expanded(sizes: Sizes, count: number): readonly number[] {
  if (typeof sizes === 'number') return Array<number>(count).fill(sizes);
  return sizes.length === 1 ? Array<number>(count).fill(sizes[0]!) : sizes;
}

/** Throws ArgumentError for windows that no image has. */
export function requireWindows(where: string, kernelSize: Sizes, options: WindowOptions): void {
  requireSizes(where, 'kernelSize', kernelSize, 2);
  requireSizes(where, 'dilation', options.dilation, 2);
  requireSizes(where, 'padding', options.padding, 2, 0);
  requireSizes(where, 'stride', options.stride, 2);
}

/** Windows of [B,C,H,W] (or [C,H,W]) as columns: [B, C·kernel area, windows]. */
export function unfold(x: Tensor, kernelSize: Sizes, options: Given<WindowOptions> = {}): Tensor {
  const known = withDefaults('unfold', WINDOW_DEFAULTS, options);
  requireWindows('unfold', kernelSize, known);
  const { dilation, padding, stride } = known;
  const two = (sizes: Sizes) => expanded(sizes, 2);
  return torch.im2col(x, two(kernelSize), two(dilation), two(padding), two(stride));
}

/** Columns [B, C·kernel area, windows] summed back where they came from: [B,C,...outputSize]. */
export function fold(
  x: Tensor,
  outputSize: Sizes,
  kernelSize: Sizes,
  options: Given<WindowOptions> = {},
): Tensor {
  const known = withDefaults('fold', WINDOW_DEFAULTS, options);
  requireSizes('fold', 'outputSize', outputSize, 2);
  requireWindows('fold', kernelSize, known);
  const { dilation, padding, stride } = known;
  const two = (sizes: Sizes) => expanded(sizes, 2);
  return torch.col2im(
    x,
    two(outputSize),
    two(kernelSize),
    two(dilation),
    two(padding),
    two(stride),
  );
}
