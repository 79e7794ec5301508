// The feed-forward of a Mix Transformer as one operator, for the memory of its backward: of what
// lies between the two products it keeps the first one's result alone, and computes the activation,
// as large again, anew.
#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "grid.h"
#include "linear.h"
#include "token_dwconv_gelu.h"
#include "torch.h"

namespace m3l {
namespace {

M3L_OPERATORS(library) {
  library.def(
      "mix_ffn(Tensor tokens, Tensor in_weight, Tensor in_bias, Tensor weight, Tensor bias, "
      "Tensor out_weight, Tensor out_bias, int height, int width) -> Tensor");
  library.def(
      "mix_ffn_hidden_backward(Tensor gradient, Tensor hidden, Tensor weight, Tensor bias, "
      "Tensor out_weight, int height, int width, bool out_weight_needed) "
      "-> (Tensor hidden, Tensor weight, Tensor bias, Tensor out_weight)");
}

/**
 * From the gradient of mix_ffn's result that of its first product, `hidden`, of the convolution's
 * weight and bias, and (if needed) of the second product's weight, for which the activation is
 * computed anew.
 */
using MixFfnHiddenBackward = std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor>(
    const at::Tensor& gradient, const at::Tensor& hidden, const at::Tensor& weight,
    const at::Tensor& bias, const at::Tensor& out_weight, int64_t height, int64_t width,
    bool out_weight_needed);

at::Tensor Convolved(const at::Tensor& hidden, const at::Tensor& weight, const at::Tensor& bias,
                     int64_t height, int64_t width) {
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("m3l::token_dwconv_gelu", "")
                             .typed<TokenDwconvGelu>();
  return op.call(hidden, weight, bias, height, width);
}

struct Weights {
  const at::Tensor& in_weight;
  const at::Tensor& in_bias;
  const at::Tensor& weight;
  const at::Tensor& bias;
  const at::Tensor& out_weight;
  const at::Tensor& out_bias;
};

void Check(const at::Tensor& tokens, const Weights& weights, int64_t height, int64_t width) {
  TORCH_CHECK(OnGrid(tokens, height, width), "mix_ffn: tokens are ", tokens.sizes(), ", expected ",
              TokensOnGrid(height, width));
  const auto channels = tokens.size(2);
  const auto hidden = weights.weight.size(0);
  const auto check = [](const char* name, const at::Tensor& weight, const at::Tensor& bias,
                        int64_t out, int64_t in) {
    TORCH_CHECK(weight.sizes() == at::IntArrayRef({out, in}), "mix_ffn: ", name, "_weight is ",
                weight.sizes(), ", expected [", out, ", ", in, "]");
    TORCH_CHECK(bias.sizes() == at::IntArrayRef({out}), "mix_ffn: ", name, "_bias is ",
                bias.sizes(), ", expected [", out, "]");
  };
  check("in", weights.in_weight, weights.in_bias, hidden, channels);
  check("out", weights.out_weight, weights.out_bias, channels, hidden);
}

/** By the operators of the convolution, where no kernel does it better. */
std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor> HiddenBackward(
    const at::Tensor& gradient, const at::Tensor& hidden, const at::Tensor& weight,
    const at::Tensor& bias, const at::Tensor& out_weight, int64_t height, int64_t width,
    bool out_weight_needed) {
  static const auto convolution = c10::Dispatcher::singleton()
                                      .findSchemaOrThrow("m3l::token_dwconv_gelu_backward", "")
                                      .typed<TokenDwconvGeluBackward>();
  at::Tensor of_out_weight;
  if (out_weight_needed) {
    const auto activated = Convolved(hidden, weight, bias, height, width);
    of_out_weight = Matrix(gradient).t().mm(Matrix(activated));
  }
  auto [of_hidden, of_weight, of_bias] = convolution.call(
      Linear(gradient, out_weight.t(), std::nullopt), hidden, weight, bias, height, width);
  return {of_hidden, of_weight, of_bias, of_out_weight};
}

std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor> HiddenBackwardOp(
    const at::Tensor& gradient, const at::Tensor& hidden, const at::Tensor& weight,
    const at::Tensor& bias, const at::Tensor& out_weight, int64_t height, int64_t width,
    bool out_weight_needed) {
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("m3l::mix_ffn_hidden_backward", "")
                             .typed<MixFfnHiddenBackward>();
  const at::AutoDispatchBelowADInplaceOrView below;
  return op.call(gradient, hidden, weight, bias, out_weight, height, width, out_weight_needed);
}

struct MixFfnFunction : torch::autograd::Function<MixFfnFunction> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& tokens,
                            const at::Tensor& in_weight, const at::Tensor& in_bias,
                            const at::Tensor& weight, const at::Tensor& bias,
                            const at::Tensor& out_weight, const at::Tensor& out_bias,
                            int64_t height, int64_t width) {
    const at::AutoDispatchBelowADInplaceOrView below;
    const auto hidden = Linear(tokens, in_weight, in_bias);
    context->save_for_backward({tokens, hidden, in_weight, weight, bias, out_weight});
    context->saved_data["height"] = height;
    context->saved_data["width"] = width;
    return Linear(Convolved(hidden, weight, bias, height, width), out_weight, out_bias);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    // A second derivative would silently be missing.
    TORCH_CHECK(!at::GradMode::is_enabled(),
                "mix_ffn: its backward cannot be differentiated (createGraph)");
    const auto saved = context->get_saved_variables();
    const auto& tokens = saved[0];
    const auto& hidden = saved[1];
    const auto& in_weight = saved[2];
    const auto& weight = saved[3];
    const auto& bias = saved[4];
    const auto& out_weight = saved[5];
    const auto height = context->saved_data["height"].toInt();
    const auto width = context->saved_data["width"].toInt();
    const auto gradient = gradients[0].contiguous();
    torch::autograd::variable_list result(9);
    if (context->needs_input_grad(6)) {
      result[6] = Matrix(gradient).sum(0);
    }
    at::Tensor of_hidden;
    std::tie(of_hidden, result[3], result[4], result[5]) = HiddenBackwardOp(
        gradient, hidden, weight, bias, out_weight, height, width, context->needs_input_grad(5));
    if (context->needs_input_grad(1)) {
      result[1] = Matrix(of_hidden).t().mm(Matrix(tokens));
    }
    if (context->needs_input_grad(2)) {
      result[2] = Matrix(of_hidden).sum(0);
    }
    if (context->needs_input_grad(0)) {
      result[0] = Linear(of_hidden, in_weight.t(), std::nullopt);
    }
    return result;
  }
};

at::Tensor MixFfn(const at::Tensor& tokens, const at::Tensor& in_weight, const at::Tensor& in_bias,
                  const at::Tensor& weight, const at::Tensor& bias, const at::Tensor& out_weight,
                  const at::Tensor& out_bias, int64_t height, int64_t width) {
  Check(tokens, {in_weight, in_bias, weight, bias, out_weight, out_bias}, height, width);
  const auto wanted = {&tokens, &in_weight, &in_bias, &weight, &bias, &out_weight, &out_bias};
  const bool differentiable =
      at::GradMode::is_enabled() &&
      std::ranges::any_of(wanted, [](const auto* x) { return x->requires_grad(); });
  if (differentiable) {
    return MixFfnFunction::apply(tokens, in_weight, in_bias, weight, bias, out_weight, out_bias,
                                 height, width);
  }
  return Linear(Convolved(Linear(tokens, in_weight, in_bias), weight, bias, height, width),
                out_weight, out_bias);
}

M3L_KERNELS(CompositeImplicitAutograd, library) { library.impl("mix_ffn", MixFfn); }

M3L_KERNELS(CompositeExplicitAutograd, library) {
  library.impl("mix_ffn_hidden_backward", HiddenBackward);
}

}  // namespace
}  // namespace m3l
