#include "../fuse_residual_norm.h"

#include <ATen/OpMathType.h>

#include "fuse_residual_norm.cuh"
#include "host.h"
#include "native_type.h"

namespace m3l {
namespace {

template <typename T>
using NativeOf = typename cuda::NativeType<T>::Type;

cuda::NormSizes Sizes(const NormShape& shape) {
  constexpr int64_t kMost = int64_t{1} << 30;
  TORCH_CHECK(shape.Positions() <= kMost && shape.modalities <= 256 && shape.channels <= kMost &&
                  shape.modalities * shape.batch <= kMost &&
                  2 * shape.modalities * shape.channels <= kMost,
              "fuse_residual_norm: ", shape.modalities, " modalities of ", shape.batch, " × ",
              shape.tokens, " tokens of ", shape.channels,
              " channels, expected at most 256 modalities, and of tokens, of rows of all, and of "
              "channels of all twice, at most ",
              kMost);
  return {static_cast<int>(shape.modalities),
          static_cast<int>(shape.batch),
          static_cast<int>(shape.tokens),
          static_cast<int>(shape.Positions()),
          static_cast<int>(shape.channels),
          shape.own,
          shape.other};
}

std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor> ForwardCuda(
    const at::Tensor& residual, const std::optional<at::Tensor>& branch,
    const std::optional<at::Tensor>& scale, const at::Tensor& weight, const at::Tensor& bias,
    int64_t modalities, double ratio, double eps) {
  const c10::cuda::CUDAGuard guard(residual.device());
  const auto t = PrepareNormForward(residual, branch, scale, weight, bias, modalities, ratio);
  const auto run = [&](auto residual_element, auto branch_element) {
    using residual_t = decltype(residual_element);
    using branch_t = decltype(branch_element);
    using compute_t = at::opmath_type<residual_t>;
    const cuda::NormForward<NativeOf<residual_t>, NativeOf<branch_t>, compute_t> rows{
        Sizes(t.shape),
        eps,
        cuda::Native<residual_t>(t.residual),
        cuda::Native<branch_t>(t.branch),
        cuda::Native<compute_t>(t.scale),
        cuda::Native<compute_t>(t.weight),
        cuda::Native<compute_t>(t.bias),
        cuda::MutableNative<residual_t>(t.sum),
        cuda::MutableNative<branch_t>(t.normal),
        cuda::MutableNative<compute_t>(t.mean),
        cuda::MutableNative<compute_t>(t.rstd)};
    cuda::LaunchNormForward(rows, c10::cuda::getCurrentCUDAStream());
  };
  WithNormTypes(residual.scalar_type(), t.normal.scalar_type(), run);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
  return {t.sum, t.normal, t.mean, t.rstd};
}

std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor> BackwardCuda(
    const std::optional<at::Tensor>& sum_gradient, const at::Tensor& normal_gradient,
    const at::Tensor& sum, const std::optional<at::Tensor>& scale, const at::Tensor& weight,
    const at::Tensor& mean, const at::Tensor& rstd, int64_t modalities, double ratio,
    std::array<bool, 3> needed) {
  const c10::cuda::CUDAGuard guard(sum.device());
  const auto t = PrepareNormBackward(sum_gradient, normal_gradient, sum, scale, weight, mean, rstd,
                                     modalities, ratio, needed);
  const auto sizes = Sizes(t.shape);
  const int slots = cuda::NormSlots(sizes);
  at::Tensor partial;
  at::Tensor affine;
  if (needed[kAffine]) {
    partial = at::empty({slots, modalities, 2, t.shape.channels}, t.weight.options());
    affine = at::empty({modalities, 2, t.shape.channels}, t.weight.options());
  }
  const auto run = [&](auto residual_element, auto branch_element) {
    using residual_t = decltype(residual_element);
    using branch_t = decltype(branch_element);
    using compute_t = at::opmath_type<residual_t>;
    const cuda::NormBackward<NativeOf<residual_t>, NativeOf<branch_t>, compute_t> rows{
        sizes,
        cuda::Native<residual_t>(t.sum_gradient),
        cuda::Native<branch_t>(t.normal_gradient),
        cuda::Native<residual_t>(t.sum),
        cuda::Native<compute_t>(t.scale),
        cuda::Native<compute_t>(t.weight),
        cuda::Native<compute_t>(t.mean),
        cuda::Native<compute_t>(t.rstd),
        cuda::MutableNative<residual_t>(t.residual_gradient),
        cuda::MutableNative<branch_t>(t.branch_gradient),
        cuda::MutableNative<compute_t>(partial),
        cuda::MutableNative<compute_t>(affine)};
    cuda::LaunchNormBackward(rows, slots, c10::cuda::getCurrentCUDAStream());
  };
  WithNormTypes(sum.scalar_type(), normal_gradient.scalar_type(), run);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
  if (!needed[kAffine]) return {t.residual_gradient, t.branch_gradient, {}, {}};
  const auto both = affine.to(weight.scalar_type());
  return {t.residual_gradient, t.branch_gradient, both.select(1, 0).contiguous(),
          both.select(1, 1).contiguous()};
}

M3L_CUDA_KERNELS(library) {
  library.impl("fuse_residual_norm_forward", ForwardCuda);
  library.impl("fuse_residual_norm_backward", BackwardCuda);
}

}  // namespace
}  // namespace m3l
