#pragma once

#include <vector>

#include "torch.h"

namespace m3l {

/** max(0, `base` + Σ upsampled maps), or the sum alone: `base` [B, height · width, C] and maps
 * [B, h_i · w_i, C] of `sizes` h_1, w_1, h_2, …, upsampled bilinearly (align_corners false). */
using UpsampleSum = at::Tensor(const at::Tensor& base, at::TensorList maps, at::IntArrayRef sizes,
                               int64_t height, int64_t width, bool relu);

/** The gradients of maps of `sizes`, each [B, h_i · w_i, C], from that of the sum,
 * [B, height · width, C]. */
using UpsampleSumBackward = std::vector<at::Tensor>(const at::Tensor& gradient, int64_t height,
                                                    int64_t width, at::IntArrayRef sizes);

void CheckUpsampleSum(const at::Tensor& base, at::TensorList maps, at::IntArrayRef sizes,
                      int64_t height, int64_t width);

void CheckUpsampleSumBackward(const at::Tensor& gradient, int64_t height, int64_t width,
                              at::IntArrayRef sizes);

}  // namespace m3l
