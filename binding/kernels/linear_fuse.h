#pragma once

#include "torch.h"

namespace m3l {

/** `tokens` [M·B, N, C], modality by modality, to the same: y_m = r·x_m + (1 − r)/(M − 1) · Σ_{j≠m}
 * x_j. */
using LinearFuse = at::Tensor(const at::Tensor& tokens, int64_t modalities, double ratio);

void CheckLinearFuse(const at::Tensor& tokens, int64_t modalities);

}  // namespace m3l
