#include "../adamw_ema.h"

#include <cmath>

#include "adamw_ema.cuh"
#include "host.h"
#include "native_type.h"

namespace m3l {
namespace {

template <typename T>
std::vector<cuda::AdamwEntry<typename cuda::NativeType<T>::Type>> EntriesOf(
    const AdamwLists& lists, const AdamwOptions& options) {
  std::vector<cuda::AdamwEntry<typename cuda::NativeType<T>::Type>> entries;
  entries.reserve(lists.parameters.size());
  for (size_t i = 0; i < lists.parameters.size(); ++i) {
    // With `scalars` the kernel computes both itself.
    const double step = lists.steps.empty() ? 1 : lists.steps[i];
    entries.push_back(
        {.parameter = cuda::MutableNative<T>(lists.parameters[i]),
         .gradient = cuda::Native<T>(lists.gradients[i]),
         .exp_avg = cuda::MutableNative<T>(lists.exp_avgs[i]),
         .exp_avg_sq = cuda::MutableNative<T>(lists.exp_avg_sqs[i]),
         .teacher = lists.teachers.empty() ? nullptr : cuda::MutableNative<T>(lists.teachers[i]),
         .size = lists.parameters[i].numel(),
         .step_size = options.lr / (1 - std::pow(options.beta1, step)),
         .bias_correction2_sqrt = std::sqrt(1 - std::pow(options.beta2, step))});
  }
  return entries;
}

void AdamwEmaOnCuda(const AdamwLists& lists, const AdamwOptions& options) {
  const cuda::AdamwShared shared{
      .lr = options.lr,
      .beta1 = options.beta1,
      .beta2 = options.beta2,
      .eps = options.eps,
      .weight_decay = options.weight_decay,
      .ema_factor = options.ema_factor,
      .dynamic = options.dynamic.defined() ? options.dynamic.const_data_ptr<double>() : nullptr};
  AT_DISPATCH_FLOATING_TYPES_AND2(
      at::kHalf, at::kBFloat16, lists.parameters[0].scalar_type(), "adamw_ema_", [&] {
        const auto entries = EntriesOf<scalar_t>(lists, options);
        cuda::LaunchAdamwEma(entries.data(), static_cast<int>(entries.size()), shared,
                             c10::cuda::getCurrentCUDAStream());
        C10_CUDA_KERNEL_LAUNCH_CHECK();
      });
}

void AdamwEmaCuda(at::TensorList parameters, at::TensorList gradients, at::TensorList exp_avgs,
                  at::TensorList exp_avg_sqs, at::TensorList steps, at::TensorList teachers,
                  double lr, double beta1, double beta2, double eps, double weight_decay,
                  double ema_factor, const std::optional<at::Tensor>& scalars) {
  TORCH_CHECK(!parameters.empty(), "adamw_ema_: no parameters, expected at least one");
  const c10::cuda::CUDAGuard guard(parameters[0].device());
  RunAdamwEma(AdamwEmaOnCuda, parameters, gradients, exp_avgs, exp_avg_sqs, steps, teachers,
              {lr, beta1, beta2, eps, weight_decay, ema_factor, scalars.value_or(at::Tensor())});
}

M3L_CUDA_KERNELS(library) { library.impl("adamw_ema_", AdamwEmaCuda); }

}  // namespace
}  // namespace m3l
