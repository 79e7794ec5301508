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
  TORCH_CHECK(width * tokens.size(2) <= std::numeric_limits<int>::max() / 16,
              "token_dwconv_gelu: a row of ", width, " tokens of ", tokens.size(2),
              " channels, expected at most ", std::numeric_limits<int>::max() / 16, " elements");
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

struct Gradients {
  at::Tensor tokens;
  at::Tensor weight;
  at::Tensor bias;
  /** The forward's result, where it was asked for. */
  at::Tensor activated;
};

Gradients GradientsOf(const at::Tensor& grad, const at::Tensor& tokens, const at::Tensor& weight,
                      const at::Tensor& bias, int64_t height, int64_t width, bool activated) {
  const auto grid = GridOf(tokens, height, width);
  const auto x = tokens.contiguous();
  const auto gradient = grad.contiguous();
  const auto taps = token_dwconv_gelu::Taps(tokens, weight, bias);
  const auto taps_gradient = at::empty_like(taps);
  Gradients result;
  result.tokens = at::empty(x.sizes(), x.options());
  if (activated) {
    result.activated = at::empty(x.sizes(), x.options());
  }
  AT_DISPATCH_FLOATING_TYPES_AND2(
      at::kBFloat16, at::kHalf, x.scalar_type(), "token_dwconv_gelu_backward", [&] {
        using A = at::opmath_type<scalar_t>;
        using Native = typename cuda::NativeType<scalar_t>::Type;
        const auto partial =
            at::empty({cuda::TokenDwconvSlots<Native>(grid), taps.numel()}, taps.options());
        cuda::LaunchTokenDwconvGeluBackward(
            cuda::Native<scalar_t>(gradient), cuda::Native<scalar_t>(x), taps.const_data_ptr<A>(),
            grid, cuda::MutableNative<scalar_t>(result.tokens),
            cuda::MutableNative<scalar_t>(result.activated), partial.mutable_data_ptr<A>(),
            taps_gradient.mutable_data_ptr<A>(), c10::cuda::getCurrentCUDAStream());
      });
  C10_CUDA_KERNEL_LAUNCH_CHECK();
  std::tie(result.weight, result.bias) = token_dwconv_gelu::FromTaps(taps_gradient, weight, bias);
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
  const auto found = GradientsOf(grad, tokens, weight, bias, height, width, false);
  return {found.tokens, found.weight, found.bias};
}

/** The activation, which the product's weights need, is written where its slope is computed: 4
 * passes over the hidden tokens, and one that reads the activation again. */
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
  const auto found =
      GradientsOf(of_activated, hidden, weight, bias, height, width, out_weight_needed);
  of_activated.reset();
  at::Tensor of_out_weight;
  if (out_weight_needed) {
    of_out_weight = Matrix(gradient).t().mm(Matrix(found.activated));
  }
  return {found.tokens, found.weight, found.bias, of_out_weight};
}

M3L_CUDA_KERNELS(library) {
  library.impl("token_dwconv_gelu", TokenDwconvGeluCuda);
  library.impl("token_dwconv_gelu_backward", TokenDwconvGeluBackwardCuda);
  library.impl("mix_ffn_hidden_backward", MixFfnHiddenBackwardCuda);
}

}  // namespace
}  // namespace m3l
