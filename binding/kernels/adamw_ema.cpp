#include "adamw_ema.h"

#include <ATen/ops/_foreach_lerp.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/tensor.h>

#include "ema_update.h"

namespace m3l {
namespace {

M3L_OPERATORS(library) {
  library.def(
      "adamw_ema_(Tensor(a!)[] parameters, Tensor[] gradients, Tensor(b!)[] exp_avgs, "
      "Tensor(c!)[] exp_avg_sqs, Tensor(d!)[] steps, Tensor(e!)[] teachers, *, float lr, "
      "float beta1, float beta2, float eps, float weight_decay, float ema_factor=0, "
      "Tensor? scalars=None) -> ()");
}

// As ema_update_'s.
void AdamwEmaBumpingVersions(at::TensorList parameters, at::TensorList gradients,
                             at::TensorList exp_avgs, at::TensorList exp_avg_sqs,
                             at::TensorList steps, at::TensorList teachers, double lr, double beta1,
                             double beta2, double eps, double weight_decay, double ema_factor,
                             const std::optional<at::Tensor>& scalars) {
  static const auto op =
      c10::Dispatcher::singleton().findSchemaOrThrow("m3l::adamw_ema_", "").typed<AdamwEma>();
  {
    const at::AutoDispatchBelowADInplaceOrView below;
    op.call(parameters, gradients, exp_avgs, exp_avg_sqs, steps, teachers, lr, beta1, beta2, eps,
            weight_decay, ema_factor, scalars);
  }
  for (const auto& list : {parameters, exp_avgs, exp_avg_sqs, steps, teachers}) {
    for (const auto& tensor : list) {
      torch::autograd::impl::bump_version(tensor);
    }
  }
}

void AdamwEmaByAten(const AdamwLists& lists, const AdamwOptions& options) {
  TORCH_CHECK(!options.dynamic.defined(), "adamw_ema_: scalars on ", options.dynamic.device(),
              ", for which the kernels were not built: expected them built for it");
  const auto steps = at::tensor(lists.steps, at::kFloat).to(lists.parameters[0].device()).unbind();
  at::_fused_adamw_(lists.parameters, lists.gradients, lists.exp_avgs, lists.exp_avg_sqs, {}, steps,
                    options.lr, options.beta1, options.beta2, options.weight_decay, options.eps,
                    /*amsgrad=*/false, /*maximize=*/false);
  if (!lists.teachers.empty()) {
    at::_foreach_lerp_(lists.teachers, lists.parameters, 1 - options.ema_factor);
  }
}

void AdamwEmaElsewhere(at::TensorList parameters, at::TensorList gradients, at::TensorList exp_avgs,
                       at::TensorList exp_avg_sqs, at::TensorList steps, at::TensorList teachers,
                       double lr, double beta1, double beta2, double eps, double weight_decay,
                       double ema_factor, const std::optional<at::Tensor>& scalars) {
  RunAdamwEma(AdamwEmaByAten, parameters, gradients, exp_avgs, exp_avg_sqs, steps, teachers,
              {lr, beta1, beta2, eps, weight_decay, ema_factor, scalars.value_or(at::Tensor())});
}

// As ema_update_'s.
M3L_KERNELS(CompositeExplicitAutograd, library) { library.impl("adamw_ema_", AdamwEmaElsewhere); }
M3L_KERNELS(Autograd, library) {
  library.impl("adamw_ema_", torch::CppFunction::makeFallthrough());
}
M3L_KERNELS(ADInplaceOrView, library) { library.impl("adamw_ema_", AdamwEmaBumpingVersions); }

void CheckOptions(const AdamwOptions& options) {
  const auto in_unit = [](double beta) { return beta >= 0 && beta < 1; };
  TORCH_CHECK(in_unit(options.beta1) && in_unit(options.beta2), "adamw_ema_: betas are ",
              options.beta1, " and ", options.beta2, ", expected [0, 1)");
  TORCH_CHECK(options.ema_factor >= 0 && options.ema_factor <= 1, "adamw_ema_: ema_factor is ",
              options.ema_factor, ", expected [0, 1]");
}

void CheckScalars(const at::Tensor& scalars, at::TensorList parameters, at::TensorList steps) {
  TORCH_CHECK(steps.empty(), "adamw_ema_: ", steps.size(),
              " steps beside scalars, which hold what they would give: expected an empty list");
  TORCH_CHECK(scalars.scalar_type() == at::kDouble && scalars.numel() == 4 &&
                  scalars.is_contiguous() && scalars.device() == parameters[0].device(),
              "adamw_ema_: scalars are ", scalars.sizes(), " ", scalars.scalar_type(), " on ",
              scalars.device(), ", expected float64 [4] on ", parameters[0].device());
}

void CheckSteps(at::TensorList steps, size_t count) {
  TORCH_CHECK(steps.size() == count, "adamw_ema_: ", steps.size(), " steps, expected ", count);
  for (size_t i = 0; i < count; ++i) {
    TORCH_CHECK(steps[i].is_cpu() && steps[i].scalar_type() == at::kFloat && steps[i].numel() == 1,
                "adamw_ema_: steps[", i, "] is ", steps[i].sizes(), " ", steps[i].scalar_type(),
                " on ", steps[i].device(), ", expected a float32 scalar on the CPU");
  }
}

}  // namespace

void RunAdamwEma(AdamwKernel kernel, at::TensorList parameters, at::TensorList gradients,
                 at::TensorList exp_avgs, at::TensorList exp_avg_sqs, at::TensorList steps,
                 at::TensorList teachers, const AdamwOptions& options) {
  constexpr auto kOp = "adamw_ema_";
  TORCH_CHECK(!parameters.empty(), "adamw_ema_: no parameters, expected at least one");
  CheckOptions(options);
  AdamwLists lists;
  lists.parameters = LaidOutAs(parameters, parameters, kOp, "parameters");
  lists.gradients = LaidOutAs(parameters, gradients, kOp, "gradients");
  lists.exp_avgs = LaidOutAs(parameters, exp_avgs, kOp, "exp_avgs");
  lists.exp_avg_sqs = LaidOutAs(parameters, exp_avg_sqs, kOp, "exp_avg_sqs");
  if (!teachers.empty()) {
    lists.teachers = LaidOutAs(parameters, teachers, kOp, "teachers");
  }
  if (options.dynamic.defined()) {
    CheckScalars(options.dynamic, parameters, steps);
  } else {
    CheckSteps(steps, parameters.size());
    lists.steps.reserve(steps.size());
    for (const auto& step : steps) {
      lists.steps.push_back(*step.mutable_data_ptr<float>() += 1);
    }
  }
  kernel(lists, options);
  CopyBack(exp_avgs, lists.exp_avgs);
  CopyBack(exp_avg_sqs, lists.exp_avg_sqs);
  if (!teachers.empty()) {
    CopyBack(teachers, lists.teachers);
  }
}

}  // namespace m3l
