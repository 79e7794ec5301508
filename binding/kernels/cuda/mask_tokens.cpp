#include "../mask_tokens.h"

#include <ATen/OpMathType.h>

#include "host.h"
#include "mask_tokens.cuh"
#include "native_type.h"

namespace m3l {
namespace {

/** Rows of `tokens` [R, N, C], `instead` (undefined: zeros) where masked. */
at::Tensor SelectRows(const at::Tensor& tokens, const at::Tensor& instead, const at::Tensor& mask,
                      int64_t share) {
  auto result = at::empty(tokens.sizes(), tokens.options());
  const auto element = static_cast<int64_t>(tokens.element_size());
  cuda::LaunchSelectRows(
      tokens.const_data_ptr(), instead.defined() ? instead.const_data_ptr() : nullptr,
      mask.const_data_ptr<bool>(), share, tokens.size(0) * tokens.size(1), tokens.size(2) * element,
      static_cast<int>(element), result.mutable_data_ptr(), c10::cuda::getCurrentCUDAStream());
  C10_CUDA_KERNEL_LAUNCH_CHECK();
  return result;
}

at::Tensor MaskTokensCuda(const at::Tensor& tokens, const at::Tensor& token,
                          const at::Tensor& mask) {
  const int64_t share = CheckMask(tokens, mask);
  CheckMaskToken(tokens, token);
  const c10::cuda::CUDAGuard guard(tokens.device());
  return SelectRows(tokens.contiguous(), token.contiguous(), mask.contiguous(), share);
}

at::Tensor SumMasked(const at::Tensor& gradient, const at::Tensor& mask, int64_t share) {
  const int64_t channels = gradient.size(2);
  const int64_t rows = gradient.size(0) * gradient.size(1);
  auto result = at::empty({channels}, gradient.options());
  AT_DISPATCH_FLOATING_TYPES_AND2(
      at::kBFloat16, at::kHalf, gradient.scalar_type(), "mask_tokens_backward", [&] {
        using compute_t = at::opmath_type<scalar_t>;
        auto partial =
            at::empty({cuda::SumMaskedSlots(rows), channels},
                      gradient.options().dtype(c10::CppTypeToScalarType<compute_t>::value));
        cuda::LaunchSumMasked(
            cuda::Native<scalar_t>(gradient), mask.const_data_ptr<bool>(), share, rows,
            static_cast<int>(channels), partial.mutable_data_ptr<compute_t>(),
            cuda::MutableNative<scalar_t>(result), c10::cuda::getCurrentCUDAStream());
      });
  C10_CUDA_KERNEL_LAUNCH_CHECK();
  return result;
}

std::tuple<at::Tensor, at::Tensor> MaskTokensBackwardCuda(const at::Tensor& gradient_,
                                                          const at::Tensor& mask_,
                                                          std::array<bool, 2> needed) {
  const int64_t share = CheckMask(gradient_, mask_);
  const c10::cuda::CUDAGuard guard(gradient_.device());
  const auto gradient = gradient_.contiguous();
  const auto mask = mask_.contiguous();
  at::Tensor tokens;
  at::Tensor token;
  if (needed[0]) {
    tokens = SelectRows(gradient, {}, mask, share);
  }
  if (needed[1]) {
    token = SumMasked(gradient, mask, share);
  }
  return {tokens, token};
}

M3L_CUDA_KERNELS(library) {
  library.impl("mask_tokens", MaskTokensCuda);
  library.impl("mask_tokens_backward", MaskTokensBackwardCuda);
}

}  // namespace
}  // namespace m3l
