#include "linear_fuse.h"

namespace m3l {

void CheckLinearFuse(const at::Tensor& tokens, int64_t modalities) {
  TORCH_CHECK(modalities >= 2, "linear_fuse: ", modalities, " modalities, expected at least 2");
  TORCH_CHECK(tokens.dim() >= 1 && tokens.size(0) % modalities == 0, "linear_fuse: tokens are ",
              tokens.sizes(), ", expected [M·B, N, C] with M = ", modalities);
}

namespace {

M3L_OPERATORS(library) {
  library.def("linear_fuse(Tensor tokens, int modalities, float ratio) -> Tensor");
}

at::Tensor LinearFuseBelowAutograd(const at::Tensor& tokens, int64_t modalities, double ratio) {
  static const auto op =
      c10::Dispatcher::singleton().findSchemaOrThrow("m3l::linear_fuse", "").typed<LinearFuse>();
  const at::AutoDispatchBelowADInplaceOrView below;
  return op.call(tokens, modalities, ratio);
}

/** The matrix that mixes the modalities is symmetric: the gradient is fused as the tokens are. */
struct LinearFuseFunction : torch::autograd::Function<LinearFuseFunction> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& tokens,
                            int64_t modalities, double ratio) {
    context->saved_data["modalities"] = modalities;
    context->saved_data["ratio"] = ratio;
    return LinearFuseBelowAutograd(tokens, modalities, ratio);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    const auto modalities = context->saved_data["modalities"].toInt();
    const auto ratio = context->saved_data["ratio"].toDouble();
    // Through the dispatcher, so that it can be differentiated again.
    return {apply(gradients[0], modalities, ratio), {}, {}};
  }
};

at::Tensor LinearFuseAutograd(const at::Tensor& tokens, int64_t modalities, double ratio) {
  return LinearFuseFunction::apply(tokens, modalities, ratio);
}

M3L_KERNELS(Autograd, library) { library.impl("linear_fuse", LinearFuseAutograd); }

}  // namespace
}  // namespace m3l
