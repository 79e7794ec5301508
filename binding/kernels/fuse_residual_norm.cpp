#include "fuse_residual_norm.h"

namespace m3l {
namespace {

at::ScalarType ComputeType(at::ScalarType type) { return type == at::kDouble ? type : at::kFloat; }

at::Tensor Computed(const at::Tensor& tensor, at::ScalarType tokens) {
  return tensor.to(ComputeType(tokens)).contiguous();
}

void CheckLikeTokens(const at::Tensor& tokens, const at::Tensor& like, const char* name,
                     bool may_be_narrow) {
  const auto type = tokens.scalar_type();
  TORCH_CHECK(
      like.sizes() == tokens.sizes() && like.device() == tokens.device() &&
          (like.scalar_type() == type || (may_be_narrow && TypesFit(type, like.scalar_type()))),
      "fuse_residual_norm: ", name, " is ", like.scalar_type(), " ", like.sizes(), " on ",
      like.device(), ", expected ", type,
      may_be_narrow && type == at::kFloat ? ", BFloat16 or Half " : " ", tokens.sizes(), " on ",
      tokens.device());
}

NormShape CheckNorm(const at::Tensor& tokens, const std::optional<at::Tensor>& scale,
                    const at::Tensor& weight, int64_t modalities, double ratio) {
  TORCH_CHECK(modalities >= 1, "fuse_residual_norm: ", modalities,
              " modalities, expected at least 1");
  TORCH_CHECK(tokens.is_floating_point(), "fuse_residual_norm: tokens are ", tokens.scalar_type(),
              ", expected a floating-point type");
  TORCH_CHECK(tokens.dim() == 3 && tokens.size(0) % modalities == 0 && tokens.size(2) > 0,
              "fuse_residual_norm: tokens are ", tokens.sizes(),
              ", expected [M·B, N, C] with M = ", modalities);
  const int64_t channels = tokens.size(2);
  TORCH_CHECK(weight.dim() == 2 && weight.size(0) == modalities && weight.size(1) == channels &&
                  weight.is_floating_point() && weight.device() == tokens.device(),
              "fuse_residual_norm: weight or bias is ", weight.scalar_type(), " ", weight.sizes(),
              " on ", weight.device(), ", expected [", modalities, ", ", channels,
              "] of a floating-point type on ", tokens.device());
  TORCH_CHECK(!scale || (scale->dim() == 1 && scale->size(0) == tokens.size(0) &&
                         scale->device() == tokens.device()),
              "fuse_residual_norm: scale is ", scale->sizes(), " on ", scale->device(),
              ", expected one factor a row, [", tokens.size(0), "], on ", tokens.device());
  const double other = modalities > 1 ? (1 - ratio) / static_cast<double>(modalities - 1) : 0.0;
  return {modalities, tokens.size(0) / modalities, tokens.size(1),
          channels,   other == 0 ? 1.0 : ratio,    other};
}

void CheckNormGradients(const std::optional<at::Tensor>& sum_gradient,
                        const at::Tensor& normal_gradient, const at::Tensor& sum,
                        const at::Tensor& mean, const at::Tensor& rstd) {
  if (sum_gradient) {
    CheckLikeTokens(sum, *sum_gradient, "the sum's gradient", false);
  }
  CheckLikeTokens(sum, normal_gradient, "the normal's gradient", true);
  for (const auto& moment : {mean, rstd}) {
    TORCH_CHECK(moment.numel() == sum.size(0) * sum.size(1) && moment.device() == sum.device() &&
                    moment.scalar_type() == ComputeType(sum.scalar_type()),
                "fuse_residual_norm: mean or rstd is ", moment.scalar_type(), " ", moment.sizes(),
                " on ", moment.device(), ", expected ", ComputeType(sum.scalar_type()), " [",
                sum.size(0) * sum.size(1), "] on ", sum.device());
  }
}

std::optional<at::Tensor> Contiguous(const std::optional<at::Tensor>& tensor) {
  return tensor ? std::optional(tensor->contiguous()) : std::nullopt;
}

std::optional<at::Tensor> Computed(const std::optional<at::Tensor>& tensor, at::ScalarType tokens) {
  return tensor ? std::optional(Computed(*tensor, tokens)) : std::nullopt;
}

}  // namespace

NormForwardTensors PrepareNormForward(const at::Tensor& residual,
                                      const std::optional<at::Tensor>& branch,
                                      const std::optional<at::Tensor>& scale,
                                      const at::Tensor& weight, const at::Tensor& bias,
                                      int64_t modalities, double ratio) {
  const NormShape shape = CheckNorm(residual, scale, weight, modalities, ratio);
  CheckNorm(residual, scale, bias, modalities, ratio);
  if (branch) {
    CheckLikeTokens(residual, *branch, "branch", true);
  }
  const auto type = residual.scalar_type();
  const auto empty = [&](const at::Tensor& like) {
    return at::empty(residual.sizes(), like.options());
  };
  const auto one_a_token = [&] {
    return at::empty({shape.Rows()}, residual.options().dtype(ComputeType(type)));
  };
  return {.shape = shape,
          .residual = residual.contiguous(),
          .branch = Contiguous(branch),
          .scale = Computed(scale, type),
          .weight = Computed(weight, type),
          .bias = Computed(bias, type),
          .sum = branch ? empty(residual) : at::Tensor(),
          .normal = empty(branch.value_or(residual)),
          .mean = one_a_token(),
          .rstd = one_a_token()};
}

NormBackwardTensors PrepareNormBackward(const std::optional<at::Tensor>& sum_gradient,
                                        const at::Tensor& normal_gradient, const at::Tensor& sum,
                                        const std::optional<at::Tensor>& scale,
                                        const at::Tensor& weight, const at::Tensor& mean,
                                        const at::Tensor& rstd, int64_t modalities, double ratio,
                                        std::array<bool, 3> needed) {
  const NormShape shape = CheckNorm(sum, scale, weight, modalities, ratio);
  CheckNormGradients(sum_gradient, normal_gradient, sum, mean, rstd);
  const auto type = sum.scalar_type();
  const auto empty_if = [&](bool wanted, const at::Tensor& like) {
    return wanted ? at::empty(sum.sizes(), like.options()) : at::Tensor();
  };
  return {.shape = shape,
          .sum_gradient = Contiguous(sum_gradient),
          .normal_gradient = normal_gradient.contiguous(),
          .sum = sum.contiguous(),
          .scale = Computed(scale, type),
          .weight = Computed(weight, type),
          .mean = mean.contiguous(),
          .rstd = rstd.contiguous(),
          .residual_gradient = empty_if(needed[kResidual], sum),
          .branch_gradient = empty_if(needed[kBranch], normal_gradient)};
}

std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor> FuseResidualNormForwardOp(
    const at::Tensor& residual, const std::optional<at::Tensor>& branch,
    const std::optional<at::Tensor>& scale, const at::Tensor& weight, const at::Tensor& bias,
    int64_t modalities, double ratio, double eps) {
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("m3l::fuse_residual_norm_forward", "")
                             .typed<FuseResidualNormForward>();
  const at::AutoDispatchBelowADInplaceOrView below;
  return op.call(residual, branch, scale, weight, bias, modalities, ratio, eps);
}

std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor> FuseResidualNormBackwardOp(
    const std::optional<at::Tensor>& sum_gradient, const at::Tensor& normal_gradient,
    const at::Tensor& sum, const std::optional<at::Tensor>& scale, const at::Tensor& weight,
    const at::Tensor& mean, const at::Tensor& rstd, int64_t modalities, double ratio,
    std::array<bool, 3> needed) {
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("m3l::fuse_residual_norm_backward", "")
                             .typed<FuseResidualNormBackward>();
  // A second derivative would silently be missing.
  TORCH_CHECK(!at::GradMode::is_enabled(),
              "fuse_residual_norm: its backward cannot be differentiated (createGraph)");
  const at::AutoDispatchBelowADInplaceOrView below;
  return op.call(sum_gradient, normal_gradient, sum, scale, weight, mean, rstd, modalities, ratio,
                 needed);
}

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

M3L_OPERATORS(library) {
  library.def(
      "fuse_residual_norm(Tensor residual, Tensor branch, Tensor? scale, Tensor weight, "
      "Tensor bias, int modalities, float ratio, float eps) -> (Tensor sum, Tensor normal)");
  library.def(
      "fuse_residual_norm_forward(Tensor residual, Tensor? branch, Tensor? scale, Tensor weight, "
      "Tensor bias, int modalities, float ratio, float eps) "
      "-> (Tensor sum, Tensor normal, Tensor mean, Tensor rstd)");
  library.def(
      "fuse_residual_norm_backward(Tensor? sum_gradient, Tensor normal_gradient, Tensor sum, "
      "Tensor? scale, Tensor weight, Tensor mean, Tensor rstd, int modalities, float ratio, "
      "bool[3] needed) -> (Tensor residual, Tensor branch, Tensor weight, Tensor bias)");
}

struct FuseResidualNormFunction : torch::autograd::Function<FuseResidualNormFunction> {
  static variable_list forward(AutogradContext* context, const at::Tensor& residual,
                               const at::Tensor& branch, const at::Tensor& weight,
                               const at::Tensor& bias, const std::optional<at::Tensor>& scale,
                               int64_t modalities, double ratio, double eps) {
    auto [sum, normal, mean, rstd] =
        FuseResidualNormForwardOp(residual, branch, scale, weight, bias, modalities, ratio, eps);
    context->set_materialize_grads(false);
    context->save_for_backward({sum, weight, mean, rstd, scale.value_or(at::Tensor())});
    context->saved_data["modalities"] = modalities;
    context->saved_data["ratio"] = ratio;
    context->saved_data["type"] = normal.scalar_type();
    return {sum, normal};
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto& [sum_gradient, normal_gradient] = std::tie(gradients[0], gradients[1]);
    variable_list result(8);
    if (!sum_gradient.defined() && !normal_gradient.defined()) {
      return result;
    }
    const auto saved = context->get_saved_variables();
    const auto& sum = saved[0];
    const auto& scale = saved[4];
    const auto modalities = context->saved_data["modalities"].toInt();
    const auto ratio = context->saved_data["ratio"].toDouble();
    const bool residual_needed = context->needs_input_grad(0);
    const bool branch_needed = context->needs_input_grad(1);
    const bool affine_needed = context->needs_input_grad(2) || context->needs_input_grad(3);
    const auto type = context->saved_data["type"].toScalarType();
    const bool same =
        !scale.defined() && (modalities == 1 || ratio == 1) && type == sum.scalar_type();
    const auto optional = [](const at::Tensor& tensor) {
      return tensor.defined() ? std::optional(tensor) : std::nullopt;
    };
    std::tie(result[0], result[1], result[2], result[3]) = FuseResidualNormBackwardOp(
        optional(sum_gradient),
        normal_gradient.defined() ? normal_gradient
                                  : at::zeros(sum.sizes(), sum.options().dtype(type)),
        sum, optional(scale), saved[1], saved[2], saved[3], modalities, ratio,
        {residual_needed || (same && branch_needed), !same && branch_needed, affine_needed});
    if (same && branch_needed) {
      result[1] = result[0];
    }
    return result;
  }
};

at::Tensor Fitting(const at::Tensor& branch, const at::Tensor& residual) {
  const auto type = residual.scalar_type();
  return TypesFit(type, branch.scalar_type()) ? branch : branch.to(type);
}

std::tuple<at::Tensor, at::Tensor> FuseResidualNormAutograd(
    const at::Tensor& residual, const at::Tensor& branch, const std::optional<at::Tensor>& scale,
    const at::Tensor& weight, const at::Tensor& bias, int64_t modalities, double ratio,
    double eps) {
  TORCH_CHECK(!scale || !scale->requires_grad(),
              "fuse_residual_norm: scale requires a gradient, expected constant factors");
  const auto results = FuseResidualNormFunction::apply(residual, Fitting(branch, residual), weight,
                                                       bias, scale, modalities, ratio, eps);
  return {results[0], results[1]};
}

/** Where autograd is off altogether (inference mode). */
std::tuple<at::Tensor, at::Tensor> FuseResidualNorm(const at::Tensor& residual,
                                                    const at::Tensor& branch,
                                                    const std::optional<at::Tensor>& scale,
                                                    const at::Tensor& weight,
                                                    const at::Tensor& bias, int64_t modalities,
                                                    double ratio, double eps) {
  auto [sum, normal, mean, rstd] = FuseResidualNormForwardOp(
      residual, Fitting(branch, residual), scale, weight, bias, modalities, ratio, eps);
  return {sum, normal};
}

M3L_KERNELS(Autograd, library) { library.impl("fuse_residual_norm", FuseResidualNormAutograd); }

M3L_KERNELS(CompositeExplicitAutograd, library) {
  library.impl("fuse_residual_norm", FuseResidualNorm);
}

}  // namespace
}  // namespace m3l
