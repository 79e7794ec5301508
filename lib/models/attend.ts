import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';

/**
 * softmax(query·keyᵀ / √C + bias) · value: query [B, heads, N, C], key and value [B, heads, N', C],
 * bias [B, heads, N'] -> [B, heads, N, C], a view of [B, N, heads, C].
 */
export function attend(query: Tensor, key: Tensor, value: Tensor, bias?: Tensor): Tensor {
  return torch.ops.m3l!.attention!(query, key, value, bias ?? null) as Tensor;
}
