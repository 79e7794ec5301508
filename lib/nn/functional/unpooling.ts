/** The places that max-pooling took its values from, filled with values; the rest is 0. */
import { ArgumentError } from '../../torch/errors.js';
import type { Tensor } from '../../torch/index.js';
import * as torch from '../../torch/index.js';
import { withDefaults } from '../../torch/require.js';
import { requireSizes, requireTensor } from '../check.js';
import type { Given } from '../layer.js';
import { requireWindow } from './pooling.js';
import { expanded, type Sizes } from './shape.js';

export interface UnpoolOptions {
  /** Null: the kernel's size. */
  stride: Sizes | null;
  padding: Sizes;
  /** Of the spatial dimensions, or the whole shape, where several were pooled to the same; null: the usual. */
  outputSize: Sizes | null;
}
export const UNPOOL: UnpoolOptions = { stride: null, padding: 0, outputSize: null };

type Run = (
  x: Tensor,
  indices: Tensor,
  size: readonly number[],
  strides: readonly number[],
  padding: readonly number[],
) => Tensor;

function unpooling(dims: 1 | 2 | 3, run: Run) {
  const where = `maxUnpool${dims}d`;
  return (
    x: Tensor,
    indices: Tensor,
    kernelSize: Sizes,
    options: Given<UnpoolOptions> = {},
  ): Tensor => {
    const known = withDefaults(where, UNPOOL, options);
    requireWindow(where, dims, kernelSize, known);
    requireTensor(where, x);
    requireTensor(where, indices);
    const kernel = expanded(kernelSize, dims);
    const strides = expanded(known.stride ?? kernelSize, dims);
    const padding = expanded(known.padding, dims);
    const usual = x.shape
      .slice(-dims)
      .map((side, i) => (side - 1) * strides[i]! + kernel[i]! - 2 * padding[i]!);
    if (known.outputSize === null) return run(x, indices, usual, strides, padding);
    const { outputSize } = known;
    // As in PyTorch the whole shape will do, such as that of what was pooled.
    const isShape = Array.isArray(outputSize) && outputSize.length > dims;
    const given = isShape ? outputSize.slice(-dims) : outputSize;
    requireSizes(where, 'outputSize', given, dims);
    const size = expanded(given, dims);
    if (size.some((side, i) => Math.abs(side - usual[i]!) >= strides[i]!)) {
      throw new ArgumentError(
        `${where}: found the outputSize [${size}], expected one within the stride [${strides}] of [${usual}]`,
      );
    }
    return run(x, indices, size, strides, padding);
  };
}

export const maxUnpool1d = unpooling(1, (x, indices, size) =>
  torch.maxUnpool2d(x.unsqueeze(-1), indices.unsqueeze(-1), [...size, 1]).squeeze(-1),
);
export const maxUnpool2d = unpooling(2, (x, indices, size) => torch.maxUnpool2d(x, indices, size));
export const maxUnpool3d = unpooling(3, (x, indices, size, strides, padding) =>
  torch.maxUnpool3d(x, indices, size, strides, padding),
);
