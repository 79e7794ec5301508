#pragma once

#include "torch.h"

namespace m3l {

/** max(0, `base` + Σ upsampled maps), or the sum alone: `base` [B, height · width, C] and maps
 * [B, h_i · w_i, C] of `sizes` h_1, w_1, h_2, …, upsampled bilinearly (align_corners false). */
using UpsampleSum = at::Tensor(const at::Tensor& base, at::TensorList maps, at::IntArrayRef sizes,
                               int64_t height, int64_t width, bool relu);

void CheckUpsampleSum(const at::Tensor& base, at::TensorList maps, at::IntArrayRef sizes,
                      int64_t height, int64_t width);

}  // namespace m3l
