#pragma once

#include <array>
#include <tuple>

#include "torch.h"

namespace m3l {

/**
 * tokens [R, N, C] with the learned `token` [C] in place of those that `mask`, bool [R] or [R, N],
 * marks: selected, never multiplied, so that nothing of a masked token leaks, NaN included.
 */
using MaskTokens = at::Tensor(const at::Tensor& tokens, const at::Tensor& token,
                              const at::Tensor& mask);

/** The gradients of tokens (0 where masked) and token (the sum where masked), if `needed`. */
using MaskTokensBackward = std::tuple<at::Tensor, at::Tensor>(const at::Tensor& gradient,
                                                              const at::Tensor& mask,
                                                              std::array<bool, 2> needed);

/** How many tokens of [R, N, C] one element of the mask stands for: N or 1. */
int64_t CheckMask(const at::Tensor& tokens, const at::Tensor& mask);

void CheckMaskToken(const at::Tensor& tokens, const at::Tensor& token);

}  // namespace m3l
