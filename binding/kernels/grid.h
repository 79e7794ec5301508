#pragma once

#include <c10/util/safe_numerics.h>

#include <string>

#include "torch.h"

namespace m3l {

/** Whether tokens are [B, height · width, C] with a grid of at least 1 × 1, however large it is
 * said to be. */
inline bool OnGrid(const at::Tensor& tokens, int64_t height, int64_t width) {
  int64_t positions = 0;
  return tokens.dim() == 3 && height >= 1 && width >= 1 &&
         !c10::mul_overflows(height, width, &positions) && tokens.size(1) == positions;
}

/** What OnGrid asks of tokens, for a message: "[B, 30, C] for a grid of 5 × 6". */
inline std::string TokensOnGrid(int64_t height, int64_t width) {
  int64_t positions = 0;
  const bool overflows = c10::mul_overflows(height, width, &positions);
  return c10::str("[B, ", overflows ? "height · width" : std::to_string(positions),
                  ", C] for a grid of ", height, " × ", width);
}

}  // namespace m3l
