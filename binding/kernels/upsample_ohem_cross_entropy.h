#pragma once

#include <tuple>

#include "torch.h"

namespace m3l {

/**
 * The losses of P heads straight from their low-resolution logits: each is upsampled to the labels'
 * size on the fly (bilinear, align_corners true), and the full-resolution logits never exist.
 *
 * @param heads P × [B, K, h, w]
 * @param labels [N, H, W] int64, N ≤ B: 0…K−1 or ignore_index, of the first N samples
 * @param pseudo [B, H, W] int64, likewise
 * @return two scalars. First the OHEM cross entropy with `labels`, mean over the heads: each head's
 *   mean over the pixels whose true class has probability p ≤ max(threshold, the min_kept-th
 *   smallest p). Second the cross entropy with `pseudo`, mean over pixels and heads. 0 without
 * labels or where all are ignored.
 */
using UpsampleOhemCrossEntropy = std::tuple<at::Tensor, at::Tensor>(
    at::TensorList heads, const std::optional<at::Tensor>& labels,
    const std::optional<at::Tensor>& pseudo, double threshold, int64_t min_kept,
    int64_t ignore_index);

/**
 * The same with its derivatives, which cost least while the softmax is at hand: of the first loss
 * by the first N samples of each head whose index is in `differentiable`, [P', N, K, h, w], and of
 * the second by all, [P', B, K, h, w]; no samples where there are no such labels.
 */
using UpsampleOhemCrossEntropyForward = std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor>(
    at::TensorList heads, const std::optional<at::Tensor>& labels,
    const std::optional<at::Tensor>& pseudo, double threshold, int64_t min_kept,
    int64_t ignore_index, at::IntArrayRef differentiable);

/**
 * Gradients by the differentiable heads, [P', B, K, h, w], from those by the two losses and the
 * derivatives that the forward pass gave; of the first N samples alone without a pseudo_gradient.
 */
using UpsampleOhemCrossEntropyBackward = at::Tensor(
    const std::optional<at::Tensor>& gradient, const std::optional<at::Tensor>& pseudo_gradient,
    const at::Tensor& derivatives, const at::Tensor& pseudo_derivatives);

/**
 * Throws where an earlier call on `loss`'s device was given a label that is no class. The CPU's
 * call throws itself; CUDA's cannot know when it returns: the loss is NaN, and whoever reads it
 * asks here why. Else the next call throws.
 */
using UpsampleOhemCrossEntropyCheck = void(const at::Tensor& loss);

/** Sizes of a call, all checked. */
struct UpsampleLossSizes {
  int64_t heads, batch, labelled, classes, low_height, low_width, height, width;
  /** Whether there are pseudo labels. */
  bool pseudo;
};

UpsampleLossSizes CheckUpsampleLoss(at::TensorList heads, const std::optional<at::Tensor>& labels,
                                    const std::optional<at::Tensor>& pseudo,
                                    at::IntArrayRef differentiable);

/** The heads in the type that is computed in (float, or double where any is), contiguous. */
std::vector<at::Tensor> UpsampleLossLogits(at::TensorList heads);

}  // namespace m3l
