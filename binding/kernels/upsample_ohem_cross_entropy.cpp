#include "upsample_ohem_cross_entropy.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/mul.h>
#include <c10/util/irange.h>

namespace m3l {
namespace {

M3L_OPERATORS(library) {
  library.def(
      "upsample_ohem_cross_entropy(Tensor[] heads, Tensor? labels, Tensor? pseudo, "
      "float threshold, int min_kept, int ignore_index=255) -> (Tensor, Tensor)");
  library.def(
      "upsample_ohem_cross_entropy_forward(Tensor[] heads, Tensor? labels, Tensor? pseudo, "
      "float threshold, int min_kept, int ignore_index, int[] differentiable) "
      "-> (Tensor, Tensor, Tensor, Tensor)");
  library.def(
      "upsample_ohem_cross_entropy_backward(Tensor? gradient, Tensor? pseudo_gradient, "
      "Tensor derivatives, Tensor pseudo_derivatives) -> Tensor");
  library.def("upsample_ohem_cross_entropy_check(Tensor loss) -> ()");
}

auto Forward(at::TensorList heads, const std::optional<at::Tensor>& labels,
             const std::optional<at::Tensor>& pseudo, double threshold, int64_t min_kept,
             int64_t ignore_index, at::IntArrayRef differentiable) {
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("m3l::upsample_ohem_cross_entropy_forward", "")
                             .typed<UpsampleOhemCrossEntropyForward>();
  const at::AutoDispatchBelowADInplaceOrView below;
  return op.call(heads, labels, pseudo, threshold, min_kept, ignore_index, differentiable);
}

at::Tensor Backward(const std::optional<at::Tensor>& gradient,
                    const std::optional<at::Tensor>& pseudo_gradient, const at::Tensor& derivatives,
                    const at::Tensor& pseudo_derivatives) {
  const bool supervised = gradient && gradient->defined();
  if (!pseudo_gradient || !pseudo_gradient->defined()) {
    TORCH_CHECK(supervised, "upsample_ohem_cross_entropy_backward: no gradient, expected one");
    return derivatives.mul(*gradient);
  }
  auto result = pseudo_derivatives.mul(*pseudo_gradient);
  if (supervised) {
    result.narrow(1, 0, derivatives.size(1)).addcmul_(derivatives, *gradient);
  }
  return result;
}

struct UpsampleOhemCrossEntropyFunction
    : torch::autograd::Function<UpsampleOhemCrossEntropyFunction> {
  static torch::autograd::variable_list forward(torch::autograd::AutogradContext* context,
                                                at::TensorList heads,
                                                const std::optional<at::Tensor>& labels,
                                                const std::optional<at::Tensor>& pseudo,
                                                double threshold, int64_t min_kept,
                                                int64_t ignore_index) {
    std::vector<int64_t> differentiable;
    std::vector<int64_t> types;
    for (const auto head : c10::irange(heads.size())) {
      if (heads[head].requires_grad()) {
        differentiable.push_back(static_cast<int64_t>(head));
        types.push_back(static_cast<int64_t>(heads[head].scalar_type()));
      }
    }
    auto [loss, pseudo_loss, derivatives, pseudo_derivatives] =
        Forward(heads, labels, pseudo, threshold, min_kept, ignore_index, differentiable);
    const auto given = [](const std::optional<at::Tensor>& x) { return x && x->defined(); };
    context->saved_data["inputs"] = static_cast<int64_t>(heads.size()) + 5;
    context->saved_data["differentiable"] = differentiable;
    context->saved_data["types"] = types;
    context->saved_data["batch"] = heads[0].size(0);
    context->save_for_backward({derivatives, pseudo_derivatives});
    context->set_materialize_grads(false);
    // What cannot depend on the heads must not claim a gradient.
    torch::autograd::variable_list constant;
    if (!given(labels)) {
      constant.push_back(loss);
    }
    if (!given(pseudo)) {
      constant.push_back(pseudo_loss);
    }
    context->mark_non_differentiable(constant);
    return {loss, pseudo_loss};
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    TORCH_CHECK(!at::GradMode::is_enabled(),
                "upsample_ohem_cross_entropy: it cannot be differentiated twice, expected a "
                "backward pass without create_graph");
    const auto saved = context->get_saved_variables();
    const auto differentiable = context->saved_data["differentiable"].toIntVector();
    const auto types = context->saved_data["types"].toIntVector();
    const auto batch = context->saved_data["batch"].toInt();
    torch::autograd::variable_list result(
        static_cast<size_t>(context->saved_data["inputs"].toInt()));
    if (!gradients[0].defined() && !gradients[1].defined()) {
      return result;
    }
    const auto whole = Backward(gradients[0], gradients[1], saved[0], saved[1]);
    for (const auto i : c10::irange(differentiable.size())) {
      auto gradient = whole.select(0, static_cast<int64_t>(i));
      if (gradient.size(0) < batch) {
        auto padded = at::zeros({batch, gradient.size(1), gradient.size(2), gradient.size(3)},
                                gradient.options());
        padded.narrow(0, 0, gradient.size(0)).copy_(gradient);
        gradient = padded;
      }
      result[static_cast<size_t>(differentiable[i])] =
          gradient.to(static_cast<at::ScalarType>(types[i]));
    }
    return result;
  }
};

std::tuple<at::Tensor, at::Tensor> UpsampleOhemCrossEntropyComposite(
    at::TensorList heads, const std::optional<at::Tensor>& labels,
    const std::optional<at::Tensor>& pseudo, double threshold, int64_t min_kept,
    int64_t ignore_index) {
  const auto needs_gradient = [](const at::Tensor& head) { return head.requires_grad(); };
  if (at::GradMode::is_enabled() && std::any_of(heads.begin(), heads.end(), needs_gradient)) {
    const auto losses = UpsampleOhemCrossEntropyFunction::apply(heads, labels, pseudo, threshold,
                                                                min_kept, ignore_index);
    return {losses[0], losses[1]};
  }
  const auto [loss, pseudo_loss, derivatives, pseudo_derivatives] =
      Forward(heads, labels, pseudo, threshold, min_kept, ignore_index, {});
  return {loss, pseudo_loss};
}

M3L_KERNELS(CompositeImplicitAutograd, library) {
  library.impl("upsample_ohem_cross_entropy", UpsampleOhemCrossEntropyComposite);
}

/** Where the call itself finds labels that are no classes, there is nothing left to find. */
void Check(const at::Tensor&) {}

M3L_KERNELS(CompositeExplicitAutograd, library) {
  library.impl("upsample_ohem_cross_entropy_backward", Backward);
  library.impl("upsample_ohem_cross_entropy_check", Check);
}

void CheckLabels(const at::Tensor& labels, const char* name, const at::Tensor& head) {
  TORCH_CHECK(labels.scalar_type() == at::kLong, "upsample_ohem_cross_entropy: ", name, " are ",
              labels.scalar_type(), ", expected int64");
  TORCH_CHECK(labels.dim() == 3, "upsample_ohem_cross_entropy: ", name, " are ", labels.sizes(),
              ", expected [N, H, W]");
  TORCH_CHECK(labels.size(0) <= head.size(0), "upsample_ohem_cross_entropy: ", name, " are ",
              labels.sizes(), ", expected at most ", head.size(0), " samples, as the heads have");
  TORCH_CHECK(labels.device() == head.device(), "upsample_ohem_cross_entropy: ", name, " are on ",
              labels.device(), ", expected them where the heads are, on ", head.device());
}

}  // namespace

UpsampleLossSizes CheckUpsampleLoss(at::TensorList heads, const std::optional<at::Tensor>& labels,
                                    const std::optional<at::Tensor>& pseudo,
                                    at::IntArrayRef differentiable) {
  TORCH_CHECK(!heads.empty(), "upsample_ohem_cross_entropy: 0 heads, expected at least 1");
  int64_t before = -1;
  for (const int64_t head : differentiable) {
    TORCH_CHECK(head >= 0 && head < static_cast<int64_t>(heads.size()),
                "upsample_ohem_cross_entropy: differentiable holds ", head, ", expected 0 to ",
                heads.size() - 1);
    // A slot of the derivatives is one head's: with heads named twice there would be more of them
    // than heads.
    TORCH_CHECK(head > before, "upsample_ohem_cross_entropy: differentiable is ", differentiable,
                ", expected each head at most once, in ascending order");
    before = head;
  }
  const auto& first = heads[0];
  for (const auto& head : heads) {
    TORCH_CHECK(head.dim() == 4 && head.numel() > 0 && head.sizes() == first.sizes(),
                "upsample_ohem_cross_entropy: heads are ", first.sizes(), " and ", head.sizes(),
                ", expected the same [B, K, h, w] of all, not empty");
    TORCH_CHECK(at::isFloatingType(head.scalar_type()), "upsample_ohem_cross_entropy: heads are ",
                head.scalar_type(), ", expected a floating type");
    TORCH_CHECK(head.device() == first.device(), "upsample_ohem_cross_entropy: heads are on ",
                first.device(), " and ", head.device(), ", expected one device");
  }
  const bool supervised = labels && labels->defined();
  const bool taught = pseudo && pseudo->defined();
  TORCH_CHECK(supervised || taught,
              "upsample_ohem_cross_entropy: neither labels nor pseudo, expected at least one");
  if (supervised) {
    CheckLabels(*labels, "labels", first);
  }
  if (taught) {
    CheckLabels(*pseudo, "pseudo", first);
    TORCH_CHECK(pseudo->size(0) == first.size(0), "upsample_ohem_cross_entropy: pseudo are ",
                pseudo->sizes(), ", expected ", first.size(0), " samples, as the heads have");
  }
  const auto& some = supervised ? *labels : *pseudo;
  TORCH_CHECK(!(supervised && taught) || labels->sizes().slice(1) == pseudo->sizes().slice(1),
              "upsample_ohem_cross_entropy: labels are ", labels->sizes(), " and pseudo ",
              pseudo->sizes(), ", expected the same height and width");
  TORCH_CHECK(some.size(1) > 0 && some.size(2) > 0, "upsample_ohem_cross_entropy: labels are ",
              some.sizes(), ", expected a height and width above 0");
  return {.heads = static_cast<int64_t>(heads.size()),
          .batch = first.size(0),
          .labelled = supervised ? labels->size(0) : 0,
          .classes = first.size(1),
          .low_height = first.size(2),
          .low_width = first.size(3),
          .height = some.size(1),
          .width = some.size(2),
          .pseudo = taught};
}

std::vector<at::Tensor> UpsampleLossLogits(at::TensorList heads) {
  const bool any_double = std::any_of(heads.begin(), heads.end(), [](const at::Tensor& head) {
    return head.scalar_type() == at::kDouble;
  });
  std::vector<at::Tensor> logits;
  for (const auto& head : heads) {
    logits.push_back(head.to(any_double ? at::kDouble : at::kFloat).contiguous());
  }
  return logits;
}

}  // namespace m3l
