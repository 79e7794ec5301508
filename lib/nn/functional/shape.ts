/** Rearrangements. */
import type { Tensor } from '../../torch/index.js';
import * as torch from '../../torch/index.js';
import { withDefaults } from '../../torch/require.js';
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

/** A number repeated for each of `count` dimensions; a list as it is. */
export function expanded(sizes: Sizes, count: number): readonly number[] {
  return typeof sizes === 'number' ? Array<number>(count).fill(sizes) : sizes;
}

/** Windows of [B,C,H,W] (or [C,H,W]) as columns: [B, C·kernel area, windows]. */
export function unfold(x: Tensor, kernelSize: Sizes, options: Given<WindowOptions> = {}): Tensor {
  const { dilation, padding, stride } = withDefaults('unfold', WINDOW_DEFAULTS, options);
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
  const { dilation, padding, stride } = withDefaults('fold', WINDOW_DEFAULTS, options);
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
