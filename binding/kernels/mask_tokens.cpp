#include "mask_tokens.h"

namespace m3l {

int64_t CheckMask(const at::Tensor& tokens, const at::Tensor& mask) {
  TORCH_CHECK(tokens.dim() == 3 && tokens.is_floating_point(), "mask_tokens: tokens are ",
              tokens.scalar_type(), " ", tokens.sizes(),
              ", expected [R, N, C] of a floating-point type");
  const bool per_row = mask.dim() == 1 && mask.size(0) == tokens.size(0);
  TORCH_CHECK(mask.scalar_type() == at::kBool && mask.device() == tokens.device() &&
                  (per_row || mask.sizes() == tokens.sizes().slice(0, 2)),
              "mask_tokens: mask is ", mask.scalar_type(), " ", mask.sizes(), " on ", mask.device(),
              ", expected bool [", tokens.size(0), "] or [", tokens.size(0), ", ", tokens.size(1),
              "] on ", tokens.device());
  return per_row ? tokens.size(1) : 1;
}

void CheckMaskToken(const at::Tensor& tokens, const at::Tensor& token) {
  TORCH_CHECK(token.dim() == 1 && token.size(0) == tokens.size(2) &&
                  token.scalar_type() == tokens.scalar_type() && token.device() == tokens.device(),
              "mask_tokens: token is ", token.scalar_type(), " ", token.sizes(), " on ",
              token.device(), ", expected ", tokens.scalar_type(), " [", tokens.size(2), "] on ",
              tokens.device());
}

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

M3L_OPERATORS(library) {
  library.def("mask_tokens(Tensor tokens, Tensor token, Tensor mask) -> Tensor");
  library.def(
      "mask_tokens_backward(Tensor gradient, Tensor mask, bool[2] needed) "
      "-> (Tensor tokens, Tensor token)");
}

struct MaskTokensFunction : torch::autograd::Function<MaskTokensFunction> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& tokens,
                            const at::Tensor& token, const at::Tensor& mask) {
    static const auto op =
        c10::Dispatcher::singleton().findSchemaOrThrow("m3l::mask_tokens", "").typed<MaskTokens>();
    context->save_for_backward({mask});
    const at::AutoDispatchBelowADInplaceOrView below;
    return op.call(tokens, token, mask);
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    static const auto op = c10::Dispatcher::singleton()
                               .findSchemaOrThrow("m3l::mask_tokens_backward", "")
                               .typed<MaskTokensBackward>();
    TORCH_CHECK(!at::GradMode::is_enabled(),
                "mask_tokens: its backward cannot be differentiated (createGraph)");
    const at::AutoDispatchBelowADInplaceOrView below;
    auto [tokens, token] = op.call(gradients[0], context->get_saved_variables()[0],
                                   {context->needs_input_grad(0), context->needs_input_grad(1)});
    return {tokens, token, {}};
  }
};

at::Tensor MaskTokensAutograd(const at::Tensor& tokens, const at::Tensor& token,
                              const at::Tensor& mask) {
  return MaskTokensFunction::apply(tokens, token.to(tokens.scalar_type()), mask);
}

M3L_KERNELS(Autograd, library) { library.impl("mask_tokens", MaskTokensAutograd); }

}  // namespace
}  // namespace m3l
