/** The way of a batch to its device. */

import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';

/**
 * The parts, joined along their first dimension, on `device`. For CUDA they are joined in page-locked
 * memory and copied from there without waiting: libtorch keeps such memory for reuse, and lends it
 * anew only when the copy is complete.
 * @param parts CPU tensors of one dtype, equal in all dimensions but the first
 */
export function stage(parts: readonly Tensor[], device: string): Tensor {
  if (!device.startsWith('cuda')) return torch.cat(parts);
  const [first] = parts as [Tensor];
  const length = parts.reduce((sum, part) => sum + part.shape[0]!, 0);
  const shape = [length, ...first.shape.slice(1)];
  const staged = torch.empty(shape, { dtype: first.dtype, pinMemory: true });
  let at = 0;
  for (const part of parts) {
    staged.narrow(0, at, part.shape[0]!).copy_(part);
    at += part.shape[0]!;
  }
  return staged.to({ device, nonBlocking: true });
}
