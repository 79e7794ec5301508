#pragma once

#include <array>
#include <optional>
#include <tuple>

#include "torch.h"

namespace m3l {

/**
 * residual and branch [M·B, N, C], modality by modality; scale [M·B]; weight and bias [M, C], float
 * or as the tokens. Gives sum = residual + scale · fuse(branch), fuse as in linear_fuse, and normal
 * = LayerNorm(sum) · weight + bias, both [M·B, N, C], then each token's mean and 1/σ, [M·B·N], of
 * the type that is computed in (double for double, else float). No scale means 1. Without a branch
 * the sum is the residual and not returned. The branch may be bfloat16 or half where the residual
 * is float, as under autocast: then so is normal, which feeds products, and the sum stays float.
 */
using FuseResidualNormForward = std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor>(
    const at::Tensor& residual, const std::optional<at::Tensor>& branch,
    const std::optional<at::Tensor>& scale, const at::Tensor& weight, const at::Tensor& bias,
    int64_t modalities, double ratio, double eps);

/**
 * The gradients of residual, branch (if `needed` of it; without fusion and scale it equals the
 * residual's), weight and bias from those of sum (none: zero) and normal, whose type is the
 * branch's.
 */
using FuseResidualNormBackward = std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor>(
    const std::optional<at::Tensor>& sum_gradient, const at::Tensor& normal_gradient,
    const at::Tensor& sum, const std::optional<at::Tensor>& scale, const at::Tensor& weight,
    const at::Tensor& mean, const at::Tensor& rstd, int64_t modalities, double ratio,
    std::array<bool, 3> needed);

/** What `needed` says: residual, branch, weight and bias. */
enum Needed : std::uint8_t { kResidual, kBranch, kAffine };

/** The arguments' sizes, once they are known to fit each other. */
struct NormShape {
  int64_t modalities;  // M
  int64_t batch;       // B
  int64_t tokens;      // N
  int64_t channels;    // C
  double own;          // the share of a modality's own branch, and of each other one
  double other;

  [[nodiscard]] int64_t Positions() const { return batch * tokens; }
  [[nodiscard]] int64_t Rows() const { return modalities * Positions(); }
  /** Fused by 1 and 0 nothing may come over, not even another modality's NaN. */
  [[nodiscard]] bool Fused() const { return other != 0; }
};

/** Arguments checked, contiguous and of the type they are computed in, and the results' memory. */
struct NormForwardTensors {
  NormShape shape;
  at::Tensor residual;
  std::optional<at::Tensor> branch;
  std::optional<at::Tensor> scale;
  at::Tensor weight;
  at::Tensor bias;
  at::Tensor sum;  // undefined without a branch
  at::Tensor normal;
  at::Tensor mean;
  at::Tensor rstd;
};

/** Whether a branch of a type goes with a residual of another. */
inline bool TypesFit(at::ScalarType residual, at::ScalarType branch) {
  return residual == branch ||
         (residual == at::kFloat && (branch == at::kBFloat16 || branch == at::kHalf));
}

/** Calls `run` with a number of the residual's and one of the branch's type, which fit. */
template <typename Run>
void WithNormTypes(at::ScalarType residual, at::ScalarType branch, const Run& run) {
  if (residual == branch) {
    AT_DISPATCH_FLOATING_TYPES_AND2(at::kBFloat16, at::kHalf, residual, "fuse_residual_norm",
                                    [&] { run(scalar_t{}, scalar_t{}); });
  } else {
    AT_DISPATCH_REDUCED_FLOATING_TYPES(branch, "fuse_residual_norm",
                                       [&] { run(float{}, scalar_t{}); });
  }
}

NormForwardTensors PrepareNormForward(const at::Tensor& residual,
                                      const std::optional<at::Tensor>& branch,
                                      const std::optional<at::Tensor>& scale,
                                      const at::Tensor& weight, const at::Tensor& bias,
                                      int64_t modalities, double ratio);

struct NormBackwardTensors {
  NormShape shape;
  std::optional<at::Tensor> sum_gradient;
  at::Tensor normal_gradient;
  at::Tensor sum;
  std::optional<at::Tensor> scale;
  at::Tensor weight;
  at::Tensor mean;
  at::Tensor rstd;
  at::Tensor residual_gradient;  // undefined where not needed
  at::Tensor branch_gradient;
};

NormBackwardTensors PrepareNormBackward(const std::optional<at::Tensor>& sum_gradient,
                                        const at::Tensor& normal_gradient, const at::Tensor& sum,
                                        const std::optional<at::Tensor>& scale,
                                        const at::Tensor& weight, const at::Tensor& mean,
                                        const at::Tensor& rstd, int64_t modalities, double ratio,
                                        std::array<bool, 3> needed);

std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor> FuseResidualNormForwardOp(
    const at::Tensor& residual, const std::optional<at::Tensor>& branch,
    const std::optional<at::Tensor>& scale, const at::Tensor& weight, const at::Tensor& bias,
    int64_t modalities, double ratio, double eps);

std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor> FuseResidualNormBackwardOp(
    const std::optional<at::Tensor>& sum_gradient, const at::Tensor& normal_gradient,
    const at::Tensor& sum, const std::optional<at::Tensor>& scale, const at::Tensor& weight,
    const at::Tensor& mean, const at::Tensor& rstd, int64_t modalities, double ratio,
    std::array<bool, 3> needed);

}  // namespace m3l
