// One LayerNorm per modality: fuse_residual_norm without a branch.
#include "fuse_residual_norm.h"

namespace m3l {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

M3L_OPERATORS(library) {
  library.def(
      "modality_norm(Tensor tokens, Tensor weight, Tensor bias, int modalities, float eps) "
      "-> Tensor");
}

struct ModalityNormFunction : torch::autograd::Function<ModalityNormFunction> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& tokens,
                            const at::Tensor& weight, const at::Tensor& bias, int64_t modalities,
                            double eps) {
    auto [sum, normal, mean, rstd] = FuseResidualNormForwardOp(tokens, std::nullopt, std::nullopt,
                                                               weight, bias, modalities, 1, eps);
    context->save_for_backward({tokens, weight, mean, rstd});
    context->saved_data["modalities"] = modalities;
    return normal;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    auto [tokens, branch, weight, bias] =
        FuseResidualNormBackwardOp(std::nullopt, gradients[0], saved[0], std::nullopt, saved[1],
                                   saved[2], saved[3], context->saved_data["modalities"].toInt(), 1,
                                   {context->needs_input_grad(0), false,
                                    context->needs_input_grad(1) || context->needs_input_grad(2)});
    return {tokens, weight, bias, {}, {}};
  }
};

at::Tensor ModalityNormAutograd(const at::Tensor& tokens, const at::Tensor& weight,
                                const at::Tensor& bias, int64_t modalities, double eps) {
  return ModalityNormFunction::apply(tokens, weight, bias, modalities, eps);
}

/** Where autograd is off altogether (inference mode). */
at::Tensor ModalityNorm(const at::Tensor& tokens, const at::Tensor& weight, const at::Tensor& bias,
                        int64_t modalities, double eps) {
  return std::get<1>(FuseResidualNormForwardOp(tokens, std::nullopt, std::nullopt, weight, bias,
                                               modalities, 1, eps));
}

M3L_KERNELS(Autograd, library) { library.impl("modality_norm", ModalityNormAutograd); }

M3L_KERNELS(CompositeExplicitAutograd, library) { library.impl("modality_norm", ModalityNorm); }

}  // namespace
}  // namespace m3l
