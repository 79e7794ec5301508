#pragma once

#include <optional>

#include "torch.h"

namespace m3l {

/** `input` · `weight`ᵀ + `bias` over the last dimension, by the faster of libtorch's two matrix
 * products. */
at::Tensor Linear(const at::Tensor& input, const at::Tensor& weight,
                  const std::optional<at::Tensor>& bias);

/** The rows of `x` as one matrix. */
inline at::Tensor Matrix(const at::Tensor& x) { return x.reshape({-1, x.size(-1)}); }

}  // namespace m3l
