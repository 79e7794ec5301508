#pragma once

#include <tuple>

#include "torch.h"

namespace m3l {

/** GELU(depthwise 3×3 convolution, padding 1, + bias) of `tokens` [B, N, C] over a grid,
 * N = height · width, with `weight` [C, 1, 3, 3] and `bias` [C], to [B, N, C]. The weights may be
 * float32 where the tokens are bfloat16 or float16. */
using TokenDwconvGelu = at::Tensor(const at::Tensor& tokens, const at::Tensor& weight,
                                   const at::Tensor& bias, int64_t height, int64_t width);

/** From the gradient of the result, [B, N, C], those of tokens, weight and bias. The activations
 * are computed again, so that nothing but the inputs need be kept for it. */
using TokenDwconvGeluBackward = std::tuple<at::Tensor, at::Tensor, at::Tensor>(
    const at::Tensor& grad, const at::Tensor& tokens, const at::Tensor& weight,
    const at::Tensor& bias, int64_t height, int64_t width);

namespace token_dwconv_gelu {

/** Throws where the arguments do not fit together; `grad` may be null. */
void Check(const char* name, const at::Tensor* grad, const at::Tensor& tokens,
           const at::Tensor& weight, const at::Tensor& bias, int64_t height, int64_t width);

/** The nine taps, row by row, then the bias: [10, C], contiguous, in the type of the arithmetic. */
at::Tensor Taps(const at::Tensor& tokens, const at::Tensor& weight, const at::Tensor& bias);

/** The gradients of weight and bias from those of the taps, [10, C]. */
std::tuple<at::Tensor, at::Tensor> FromTaps(const at::Tensor& taps, const at::Tensor& weight,
                                            const at::Tensor& bias);

}  // namespace token_dwconv_gelu
}  // namespace m3l
