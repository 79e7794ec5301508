/** The way of a batch to its device. */

import { checkArguments } from '../torch/check-arguments.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import * as is from '../torch/rules.js';

/** A tensor of these values on `device`, on its way as by `stage`. */
export function stageValues(
  values: Float32Array | Float64Array | Int32Array | Uint8Array,
  shape: readonly number[],
  device: string,
): Tensor {
  checkArguments(
    'stageValues',
    { values, shape, device },
    { values: is.numbers, shape: is.listOf(is.finite), device: is.text },
  );

  return stage([torch.tensor(values, { shape })], device);
}

/** The arrays, one after another, as one tensor of this shape on `device`, on their way as by `stage`. */
export function stageArrays(
  arrays: readonly ArrayBufferView[],
  dtype: 'float32' | 'uint8' | 'bool' | 'int16',
  shape: readonly number[],
  device: string,
): Tensor {
  if (!device.startsWith('cuda')) return torch.fromBytes(arrays, dtype, shape);
  const parts = arrays.map((array) => torch.fromBytes(array, dtype));
  return stage(parts, device).reshape(shape);
}

/**
 * The parts, joined along their first dimension, on `device`. For CUDA they are joined in page-locked
 * memory and copied from there without waiting (a plain copy waits for all that the device was asked
 * for before): libtorch keeps such memory, and lends it anew only when the copy is complete.
 * @param parts CPU tensors of one dtype, equal in all dimensions but the first
 */
export function stage(parts: readonly Tensor[], device: string): Tensor {
  const [first] = parts as [Tensor];
  if (!device.startsWith('cuda')) return parts.length === 1 ? first : torch.cat(parts);
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
