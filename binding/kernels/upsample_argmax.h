#pragma once

#include "torch.h"

namespace m3l {

/**
 * The class of each pixel straight from low-resolution logits, which are upsampled on the fly
 * (bilinear, align_corners true).
 *
 * @param logits [B, K, h, w] floating
 * @param size [H, W]
 * @param confidence least softmax probability that the class must have; none: any
 * @param valid [B, H, W] bool; none: everywhere
 * @return [B, H, W] int64: the class with the largest logit, the first of equals; ignore_index
 * where not valid or not confident
 */
using UpsampleArgmax = at::Tensor(const at::Tensor& logits, at::IntArrayRef size,
                                  std::optional<double> confidence,
                                  const std::optional<at::Tensor>& valid, int64_t ignore_index);

void CheckUpsampleArgmax(const at::Tensor& logits, at::IntArrayRef size,
                         const std::optional<at::Tensor>& valid);

}  // namespace m3l
