#include "../fuse_residual_norm.h"

#include <ATen/OpMathType.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include "fuse_residual_norm.cuh"
#include "native_type.h"

namespace m3l {
namespace {

cuda::NormSizes Sizes(const NormShape& shape) {
  constexpr int64_t kMost = int64_t{1} << 30;
  TORCH_CHECK(shape.Positions() <= kMost && shape.modalities <= 256 && shape.channels <= kMost,
              "fuse_residual_norm: ", shape.modalities, " modalities of ", shape.Positions(),
              " tokens, expected at most 256 of ", kMost);
  return {static_cast<int>(shape.modalities),
          static_cast<int>(shape.batch),
          static_cast<int>(shape.tokens),
          static_cast<int>(shape.Positions()),
          static_cast<int>(shape.channels),
          shape.own,
          shape.other};
}

std::optional<at::Tensor> Contiguous(const std::optional<at::Tensor>& tensor) {
  return tensor ? std::optional(tensor->contiguous()) : std::nullopt;
}

std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor> ForwardCuda(
    const at::Tensor& residual_, const std::optional<at::Tensor>& branch_,
    const std::optional<at::Tensor>& scale_, const at::Tensor& weight_, const at::Tensor& bias_,
    int64_t modalities, double ratio, double eps) {
  const NormShape shape = CheckNorm(residual_, scale_, weight_, modalities, ratio);
  CheckNorm(residual_, scale_, bias_, modalities, ratio);
  if (branch_) CheckLikeTokens(residual_, *branch_, "branch");
  const c10::cuda::CUDAGuard guard(residual_.device());
  const auto type = residual_.scalar_type();
  const auto residual = residual_.contiguous();
  const auto branch = Contiguous(branch_);
  const auto scale = scale_ ? std::optional(Computed(*scale_, type)) : std::nullopt;
  const auto weight = Computed(weight_, type);
  const auto bias = Computed(bias_, type);
  auto sum = branch ? at::empty(residual.sizes(), residual.options()) : at::Tensor();
  auto normal = at::empty(residual.sizes(), residual.options());
  auto mean = at::empty({shape.Rows()}, weight.options());
  auto rstd = at::empty({shape.Rows()}, weight.options());
  AT_DISPATCH_FLOATING_TYPES_AND2(at::kBFloat16, at::kHalf, type, "fuse_residual_norm", [&] {
    using compute_t = at::opmath_type<scalar_t>;
    using native_t = typename cuda::NativeType<scalar_t>::Type;
    const cuda::NormForward<native_t, compute_t> rows{Sizes(shape),
                                                      eps,
                                                      cuda::Native<scalar_t>(residual),
                                                      cuda::Native<scalar_t>(branch),
                                                      cuda::Native<compute_t>(scale),
                                                      cuda::Native<compute_t>(weight),
                                                      cuda::Native<compute_t>(bias),
                                                      cuda::MutableNative<scalar_t>(sum),
                                                      cuda::MutableNative<scalar_t>(normal),
                                                      cuda::MutableNative<compute_t>(mean),
                                                      cuda::MutableNative<compute_t>(rstd)};
    cuda::LaunchNormForward(rows, c10::cuda::getCurrentCUDAStream());
  });
  C10_CUDA_KERNEL_LAUNCH_CHECK();
  return {sum, normal, mean, rstd};
}

std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor> BackwardCuda(
    const std::optional<at::Tensor>& sum_gradient_, const at::Tensor& normal_gradient_,
    const at::Tensor& sum_, const std::optional<at::Tensor>& scale_, const at::Tensor& weight_,
    const at::Tensor& mean_, const at::Tensor& rstd_, int64_t modalities, double ratio,
    std::array<bool, 3> needed) {
  const NormShape shape = CheckNorm(sum_, scale_, weight_, modalities, ratio);
  CheckNormGradients(sum_gradient_, normal_gradient_, sum_, mean_, rstd_);
  const c10::cuda::CUDAGuard guard(sum_.device());
  const auto type = sum_.scalar_type();
  const auto sum_gradient = Contiguous(sum_gradient_);
  const auto normal_gradient = normal_gradient_.contiguous();
  const auto sum = sum_.contiguous();
  const auto scale = scale_ ? std::optional(Computed(*scale_, type)) : std::nullopt;
  const auto weight = Computed(weight_, type);
  const auto mean = mean_.contiguous();
  const auto rstd = rstd_.contiguous();
  const auto sizes = Sizes(shape);
  const int slots = cuda::NormSlots(sizes);
  at::Tensor residual_gradient;
  at::Tensor branch_gradient;
  at::Tensor partial;
  at::Tensor affine;
  if (needed[kResidual]) residual_gradient = at::empty(sum.sizes(), sum.options());
  if (needed[kBranch]) branch_gradient = at::empty(sum.sizes(), sum.options());
  if (needed[kAffine]) {
    partial = at::empty({slots, modalities, 2, shape.channels}, weight.options());
    affine = at::empty({modalities, 2, shape.channels}, weight.options());
  }
  AT_DISPATCH_FLOATING_TYPES_AND2(at::kBFloat16, at::kHalf, type, "fuse_residual_norm", [&] {
    using compute_t = at::opmath_type<scalar_t>;
    using native_t = typename cuda::NativeType<scalar_t>::Type;
    const cuda::NormBackward<native_t, compute_t> rows{
        sizes,
        cuda::Native<scalar_t>(sum_gradient),
        cuda::Native<scalar_t>(normal_gradient),
        cuda::Native<scalar_t>(sum),
        cuda::Native<compute_t>(scale),
        cuda::Native<compute_t>(weight),
        cuda::Native<compute_t>(mean),
        cuda::Native<compute_t>(rstd),
        cuda::MutableNative<scalar_t>(residual_gradient),
        cuda::MutableNative<scalar_t>(branch_gradient),
        cuda::MutableNative<compute_t>(partial),
        cuda::MutableNative<compute_t>(affine)};
    cuda::LaunchNormBackward(rows, slots, c10::cuda::getCurrentCUDAStream());
  });
  C10_CUDA_KERNEL_LAUNCH_CHECK();
  if (!needed[kAffine]) return {residual_gradient, branch_gradient, {}, {}};
  const auto both = affine.to(weight_.scalar_type());
  return {residual_gradient, branch_gradient, both.select(1, 0).contiguous(),
          both.select(1, 1).contiguous()};
}

TORCH_LIBRARY_IMPL(m3l, CUDA, library) {
  library.impl("fuse_residual_norm_forward", ForwardCuda);
  library.impl("fuse_residual_norm_backward", BackwardCuda);
}

}  // namespace
}  // namespace m3l
