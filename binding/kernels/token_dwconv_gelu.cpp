#include "token_dwconv_gelu.h"

#include <ATen/OpMathType.h>
#include <ATen/ops/cat.h>

#include "grid.h"

namespace m3l {
namespace token_dwconv_gelu {

void Check(const char* name, const at::Tensor* grad, const at::Tensor& tokens,
           const at::Tensor& weight, const at::Tensor& bias, int64_t height, int64_t width) {
  const auto type = tokens.scalar_type();
  TORCH_CHECK(at::isFloatingType(type), name, ": tokens are ", type,
              ", expected a floating-point type");
  TORCH_CHECK(height >= 1 && width >= 1, name, ": the grid is ", height, " × ", width,
              ", expected at least 1 × 1");
  TORCH_CHECK(OnGrid(tokens, height, width), name, ": tokens are ", tokens.sizes(), ", expected ",
              TokensOnGrid(height, width));
  const auto channels = tokens.size(2);
  TORCH_CHECK(weight.sizes() == at::IntArrayRef({channels, 1, 3, 3}), name, ": weight is ",
              weight.sizes(), ", expected [", channels, ", 1, 3, 3] for tokens ", tokens.sizes());
  TORCH_CHECK(bias.sizes() == at::IntArrayRef({channels}), name, ": bias is ", bias.sizes(),
              ", expected [", channels, "] for tokens ", tokens.sizes());
  for (const auto* parameter : {&weight, &bias}) {
    const auto found = parameter->scalar_type();
    TORCH_CHECK(found == type || (found == at::kFloat && type != at::kDouble), name, ": ",
                parameter == &weight ? "weight" : "bias", " is ", found, ", expected ", type,
                " as the tokens", type == at::kDouble ? "" : ", or Float");
    TORCH_CHECK(parameter->device() == tokens.device(), name, ": ",
                parameter == &weight ? "weight" : "bias", " is on ", parameter->device(),
                ", expected ", tokens.device(), " as the tokens");
  }
  if (grad != nullptr) {
    TORCH_CHECK(grad->sizes() == tokens.sizes(), name, ": grad is ", grad->sizes(), ", expected ",
                tokens.sizes(), " as the tokens");
    TORCH_CHECK(grad->scalar_type() == type, name, ": grad is ", grad->scalar_type(), ", expected ",
                type, " as the tokens");
    TORCH_CHECK(grad->device() == tokens.device(), name, ": grad is on ", grad->device(),
                ", expected ", tokens.device(), " as the tokens");
  }
}

at::Tensor Taps(const at::Tensor& tokens, const at::Tensor& weight, const at::Tensor& bias) {
  const auto type = at::toOpMathType(tokens.scalar_type());
  const auto channels = weight.size(0);
  return at::cat({weight.reshape({channels, 9}).t().to(type), bias.reshape({1, channels}).to(type)})
      .contiguous();
}

std::tuple<at::Tensor, at::Tensor> FromTaps(const at::Tensor& taps, const at::Tensor& weight,
                                            const at::Tensor& bias) {
  return {taps.narrow(0, 0, 9).t().reshape(weight.sizes()).to(weight.scalar_type()),
          taps.select(0, 9).to(bias.scalar_type(), /*non_blocking=*/false, /*copy=*/true)};
}

}  // namespace token_dwconv_gelu

namespace {

M3L_OPERATORS(library) {
  library.def(
      "token_dwconv_gelu(Tensor tokens, Tensor weight, Tensor bias, int height, int width) "
      "-> Tensor");
  library.def(
      "token_dwconv_gelu_backward(Tensor grad, Tensor tokens, Tensor weight, Tensor bias, "
      "int height, int width) -> (Tensor, Tensor, Tensor)");
}

const auto& BackwardOperator() {
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("m3l::token_dwconv_gelu_backward", "")
                             .typed<TokenDwconvGeluBackward>();
  return op;
}

struct TokenDwconvGeluFunction : torch::autograd::Function<TokenDwconvGeluFunction> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& tokens,
                            const at::Tensor& weight, const at::Tensor& bias, int64_t height,
                            int64_t width) {
    static const auto op = c10::Dispatcher::singleton()
                               .findSchemaOrThrow("m3l::token_dwconv_gelu", "")
                               .typed<TokenDwconvGelu>();
    context->save_for_backward({tokens, weight, bias});
    context->saved_data["height"] = height;
    context->saved_data["width"] = width;
    const at::AutoDispatchBelowADInplaceOrView below;
    return op.call(tokens, weight, bias, height, width);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    // Through the dispatcher, so that a graph of the gradient ends in the error below.
    auto [tokens, weight, bias] = BackwardOperator().call(
        gradients[0], saved[0], saved[1], saved[2], context->saved_data["height"].toInt(),
        context->saved_data["width"].toInt());
    return {tokens, weight, bias, {}, {}};
  }
};

struct TokenDwconvGeluBackwardFunction
    : torch::autograd::Function<TokenDwconvGeluBackwardFunction> {
  static torch::autograd::variable_list forward(torch::autograd::AutogradContext* /*context*/,
                                                const at::Tensor& grad, const at::Tensor& tokens,
                                                const at::Tensor& weight, const at::Tensor& bias,
                                                int64_t height, int64_t width) {
    const at::AutoDispatchBelowADInplaceOrView below;
    auto [of_tokens, of_weight, of_bias] =
        BackwardOperator().call(grad, tokens, weight, bias, height, width);
    return {of_tokens, of_weight, of_bias};
  }

  static torch::autograd::variable_list backward(
      torch::autograd::AutogradContext* /*context*/,
      const torch::autograd::variable_list& /*gradients*/) {
    TORCH_CHECK(false,
                "token_dwconv_gelu: its gradient cannot be differentiated again; for second "
                "derivatives compose conv2d and gelu");
  }
};

at::Tensor TokenDwconvGeluAutograd(const at::Tensor& tokens, const at::Tensor& weight,
                                   const at::Tensor& bias, int64_t height, int64_t width) {
  return TokenDwconvGeluFunction::apply(tokens, weight, bias, height, width);
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> TokenDwconvGeluBackwardAutograd(
    const at::Tensor& grad, const at::Tensor& tokens, const at::Tensor& weight,
    const at::Tensor& bias, int64_t height, int64_t width) {
  const auto result =
      TokenDwconvGeluBackwardFunction::apply(grad, tokens, weight, bias, height, width);
  return {result[0], result[1], result[2]};
}

M3L_KERNELS(Autograd, library) {
  library.impl("token_dwconv_gelu", TokenDwconvGeluAutograd);
  library.impl("token_dwconv_gelu_backward", TokenDwconvGeluBackwardAutograd);
}

}  // namespace
}  // namespace m3l
