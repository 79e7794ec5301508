import { checkArguments } from '../torch/check-arguments.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import * as is from '../torch/rules.js';

/** Up to this side of its input a matrix product is the faster way on a CPU (break-even at 64). */
const smallSide = 48;

/**
 * Upsampling of maps like `like`, [B,K,h,w], to `size`, bilinear with align_corners = true. On a CPU
 * and from small maps as two products with interpolation matrices, which gives the same up to
 * rounding; the operator's backward there is several times slower.
 */
export function bilinear(like: Tensor, size: [number, number]): (logits: Tensor) => Tensor {
  checkArguments('bilinear', { like, size }, { like: is.tensor, size: is.list });

  const [height, width] = like.shape.slice(2) as [number, number];
  if (like.device !== 'cpu' || Math.max(height, width) > smallSide) {
    return (logits) => torch.upsampleBilinear2d(logits, size, true);
  }
  // What the operator makes of unit vectors: its own weights.
  const weights = (from: number, to: number) =>
    torch
      .upsampleLinear1d(torch.eye(from, { dtype: like.dtype }).unsqueeze(0), to, true)
      .squeeze(0);
  const columns = weights(width, size[1]); // [w, W]
  const rows = weights(height, size[0]).t(); // [H, h]
  return (logits) => rows.matmul(logits.matmul(columns));
}
