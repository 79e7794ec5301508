#include "../token_dwconv_gelu.h"

#include <ATen/OpMathType.h>

#include <limits>

#include "host.h"
#include "native_type.h"
#include "token_dwconv_gelu.cuh"

namespace m3l {
namespace {

cuda::TokenGrid GridOf(const at::Tensor& tokens, int64_t height, int64_t width) {
  for (const int64_t size : {tokens.size(0), height, width, tokens.size(2)}) {
    TORCH_CHECK(size <= std::numeric_limits<int>::max() / 16, "token_dwconv_gelu: a size of ", size,
                " in tokens ", tokens.sizes(), ", expected at most ",
                std::numeric_limits<int>::max() / 16);
  }
  return {static_cast<int>(tokens.size(0)), static_cast<int>(height), static_cast<int>(width),
          static_cast<int>(tokens.size(2))};
}

at::Tensor TokenDwconvGeluCuda(const at::Tensor& tokens, const at::Tensor& weight,
                               const at::Tensor& bias, int64_t height, int64_t width) {
  token_dwconv_gelu::Check("token_dwconv_gelu", nullptr, tokens, weight, bias, height, width);
  const c10::cuda::CUDAGuard guard(tokens.device());
  const auto grid = GridOf(tokens, height, width);
  const auto x = tokens.contiguous();
  auto y = at::empty(x.sizes(), x.options());
  const auto taps = token_dwconv_gelu::Taps(tokens, weight, bias);
  AT_DISPATCH_FLOATING_TYPES_AND2(
      at::kBFloat16, at::kHalf, x.scalar_type(), "token_dwconv_gelu", [&] {
        using A = at::opmath_type<scalar_t>;
        cuda::LaunchTokenDwconvGelu(cuda::Native<scalar_t>(x), taps.const_data_ptr<A>(), grid,
                                    cuda::MutableNative<scalar_t>(y),
                                    c10::cuda::getCurrentCUDAStream());
      });
  C10_CUDA_KERNEL_LAUNCH_CHECK();
  return y;
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> TokenDwconvGeluBackwardCuda(
    const at::Tensor& grad, const at::Tensor& tokens, const at::Tensor& weight,
    const at::Tensor& bias, int64_t height, int64_t width) {
  token_dwconv_gelu::Check("token_dwconv_gelu_backward", &grad, tokens, weight, bias, height,
                           width);
  const c10::cuda::CUDAGuard guard(tokens.device());
  if (tokens.numel() == 0) {
    return {at::zeros_like(tokens), at::zeros_like(weight), at::zeros_like(bias)};
  }
  const auto grid = GridOf(tokens, height, width);
  const auto x = tokens.contiguous();
  const auto gradient = grad.contiguous();
  auto slope = at::empty(x.sizes(), x.options());
  auto grad_x = at::empty(x.sizes(), x.options());
  const auto taps = token_dwconv_gelu::Taps(tokens, weight, bias);
  auto grad_taps = at::empty_like(taps);
  AT_DISPATCH_FLOATING_TYPES_AND2(
      at::kBFloat16, at::kHalf, x.scalar_type(), "token_dwconv_gelu_backward", [&] {
        using A = at::opmath_type<scalar_t>;
        using Native = typename cuda::NativeType<scalar_t>::Type;
        const auto stream = c10::cuda::getCurrentCUDAStream();
        auto partial =
            at::empty({cuda::TokenDwconvSlots<Native>(grid), taps.numel()}, taps.options());
        cuda::LaunchTokenDwconvSlope(
            cuda::Native<scalar_t>(gradient), cuda::Native<scalar_t>(x), taps.const_data_ptr<A>(),
            grid, cuda::MutableNative<scalar_t>(slope), partial.mutable_data_ptr<A>(),
            grad_taps.mutable_data_ptr<A>(), stream);
        cuda::LaunchTokenDwconvTransposed(cuda::Native<scalar_t>(slope), taps.const_data_ptr<A>(),
                                          grid, cuda::MutableNative<scalar_t>(grad_x), stream);
      });
  C10_CUDA_KERNEL_LAUNCH_CHECK();
  auto [grad_weight, grad_bias] = token_dwconv_gelu::FromTaps(grad_taps, weight, bias);
  return {grad_x, grad_weight, grad_bias};
}

M3L_CUDA_KERNELS(library) {
  library.impl("token_dwconv_gelu", TokenDwconvGeluCuda);
  library.impl("token_dwconv_gelu_backward", TokenDwconvGeluBackwardCuda);
}

}  // namespace
}  // namespace m3l
