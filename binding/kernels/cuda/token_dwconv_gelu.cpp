#include "../token_dwconv_gelu.h"

#include <ATen/OpMathType.h>

#include <limits>

#include "../linear.h"
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

/** Before the activation: its gradient, and that of the taps. */
struct Slope {
  at::Tensor taps;
  at::Tensor slope;
  at::Tensor taps_gradient;
  /** The forward's result, where it was asked for. */
  at::Tensor activated;
};

Slope SlopeOf(const at::Tensor& grad, const at::Tensor& tokens, const at::Tensor& weight,
              const at::Tensor& bias, const cuda::TokenGrid& grid, bool activated) {
  const auto x = tokens.contiguous();
  const auto gradient = grad.contiguous();
  const auto taps = token_dwconv_gelu::Taps(tokens, weight, bias);
  Slope result{taps, at::empty(x.sizes(), x.options()), at::empty_like(taps),
               activated ? at::empty(x.sizes(), x.options()) : at::Tensor()};
  AT_DISPATCH_FLOATING_TYPES_AND2(
      at::kBFloat16, at::kHalf, x.scalar_type(), "token_dwconv_gelu_backward", [&] {
        using A = at::opmath_type<scalar_t>;
        using Native = typename cuda::NativeType<scalar_t>::Type;
        const auto partial =
            at::empty({cuda::TokenDwconvSlots<Native>(grid), taps.numel()}, taps.options());
        cuda::LaunchTokenDwconvSlope(
            cuda::Native<scalar_t>(gradient), cuda::Native<scalar_t>(x), taps.const_data_ptr<A>(),
            grid, cuda::MutableNative<scalar_t>(result.slope),
            cuda::MutableNative<scalar_t>(result.activated), partial.mutable_data_ptr<A>(),
            result.taps_gradient.mutable_data_ptr<A>(), c10::cuda::getCurrentCUDAStream());
      });
  C10_CUDA_KERNEL_LAUNCH_CHECK();
  return result;
}

at::Tensor TransposedOf(const at::Tensor& slope, const at::Tensor& taps,
                        const cuda::TokenGrid& grid) {
  auto result = at::empty(slope.sizes(), slope.options());
  AT_DISPATCH_FLOATING_TYPES_AND2(
      at::kBFloat16, at::kHalf, slope.scalar_type(), "token_dwconv_gelu_backward", [&] {
        using A = at::opmath_type<scalar_t>;
        cuda::LaunchTokenDwconvTransposed(cuda::Native<scalar_t>(slope), taps.const_data_ptr<A>(),
                                          grid, cuda::MutableNative<scalar_t>(result),
                                          c10::cuda::getCurrentCUDAStream());
      });
  C10_CUDA_KERNEL_LAUNCH_CHECK();
  return result;
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
  const auto found = SlopeOf(grad, tokens, weight, bias, grid, false);
  auto [grad_weight, grad_bias] = token_dwconv_gelu::FromTaps(found.taps_gradient, weight, bias);
  return {TransposedOf(found.slope, found.taps, grid), grad_weight, grad_bias};
}

/** The activation, which the product's weights need, is written where its slope is computed: 6
 * passes over the hidden tokens in place of 7, and one convolution less. */
std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor> MixFfnHiddenBackwardCuda(
    const at::Tensor& gradient, const at::Tensor& hidden, const at::Tensor& weight,
    const at::Tensor& bias, const at::Tensor& out_weight, int64_t height, int64_t width,
    bool out_weight_needed) {
  const c10::cuda::CUDAGuard guard(hidden.device());
  auto of_activated = Linear(gradient, out_weight.t(), std::nullopt);
  token_dwconv_gelu::Check("mix_ffn_hidden_backward", &of_activated, hidden, weight, bias, height,
                           width);
  if (hidden.numel() == 0) {
    return {at::zeros_like(hidden), at::zeros_like(weight), at::zeros_like(bias),
            out_weight_needed ? at::zeros_like(out_weight) : at::Tensor()};
  }
  const auto grid = GridOf(hidden, height, width);
  auto found = SlopeOf(of_activated, hidden, weight, bias, grid, out_weight_needed);
  of_activated.reset();
  at::Tensor of_out_weight;
  if (out_weight_needed) {
    of_out_weight = Matrix(gradient).t().mm(Matrix(found.activated));
    found.activated.reset();
  }
  auto [of_weight, of_bias] = token_dwconv_gelu::FromTaps(found.taps_gradient, weight, bias);
  return {TransposedOf(found.slope, found.taps, grid), of_weight, of_bias, of_out_weight};
}

M3L_CUDA_KERNELS(library) {
  library.impl("token_dwconv_gelu", TokenDwconvGeluCuda);
  library.impl("token_dwconv_gelu_backward", TokenDwconvGeluBackwardCuda);
  library.impl("mix_ffn_hidden_backward", MixFfnHiddenBackwardCuda);
}

}  // namespace
}  // namespace m3l
