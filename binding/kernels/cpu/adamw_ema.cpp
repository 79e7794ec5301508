#include "../adamw_ema.h"

#include "adamw_ema_lists.h"
#include "narrow.h"
#include "vector.h"

namespace m3l {
namespace {

template <typename Acc>
struct Coefficients {
  Acc decay;
  Acc gradient_share;
  Acc beta2;
  Acc square_share;
  Acc bias_correction2_sqrt;
  Acc eps;
  Acc step_size;
  Average<Acc> average;
};

/** `teacher` null: without. As at::_fused_adamw_ on the CPU, operation by operation. */
template <Start kStart, typename T, typename Acc>
M3L_VECTORISED void AdamwRange(T* __restrict parameter, const T* __restrict gradient,
                               T* __restrict exp_avg, T* __restrict exp_avg_sq,
                               T* __restrict teacher, int64_t count, const Coefficients<Acc>& by) {
  const Coefficients<Acc> c = by;
  const auto step = [&](int64_t i) {
    const auto g = cpu::Widened<Acc>(gradient[i]);
    const auto m = cpu::Widened<Acc>(exp_avg[i]);
    const Acc mean = m + c.gradient_share * (g - m);
    const Acc square = cpu::Widened<Acc>(exp_avg_sq[i]) * c.beta2 + c.square_share * g * g;
    const Acc root = std::sqrt(square) / c.bias_correction2_sqrt + c.eps;
    const Acc next = cpu::Widened<Acc>(parameter[i]) * c.decay - c.step_size * mean / root;
    exp_avg[i] = cpu::Narrowed<T>(mean);
    exp_avg_sq[i] = cpu::Narrowed<T>(square);
    parameter[i] = cpu::Narrowed<T>(next);
  };
  if (teacher == nullptr) {
    for (int64_t i = 0; i < count; ++i) {
      step(i);
    }
    return;
  }
  for (int64_t i = 0; i < count; ++i) {
    step(i);
    teacher[i] = cpu::Narrowed<T>(c.average.template Of<kStart>(cpu::Widened<Acc>(teacher[i]),
                                                                cpu::Widened<Acc>(parameter[i])));
  }
}

template <typename Acc>
Coefficients<Acc> CoefficientsOf(const AdamwOptions& options, double step) {
  double lr = options.lr;
  double correction1 = 1 - std::pow(options.beta1, step);
  double correction2 = 1 - std::pow(options.beta2, step);
  double ema_factor = options.ema_factor;
  if (options.dynamic.defined()) {
    const auto* scalars = options.dynamic.const_data_ptr<double>();
    lr = scalars[0];
    correction1 = scalars[1];
    correction2 = scalars[2];
    ema_factor = scalars[3];
  }
  return {.decay = static_cast<Acc>(1 - lr * options.weight_decay),
          .gradient_share = static_cast<Acc>(1 - options.beta1),
          .beta2 = static_cast<Acc>(options.beta2),
          .square_share = static_cast<Acc>(1 - options.beta2),
          .bias_correction2_sqrt = static_cast<Acc>(std::sqrt(correction2)),
          .eps = static_cast<Acc>(options.eps),
          .step_size = static_cast<Acc>(lr / correction1),
          .average = Average<Acc>(ema_factor)};
}

void AdamwEmaOnCpu(const AdamwLists& lists, const AdamwOptions& options) {
  AT_DISPATCH_FLOATING_TYPES_AND2(
      at::kHalf, at::kBFloat16, lists.parameters[0].scalar_type(), "adamw_ema_", [&] {
        using Acc = at::opmath_type<scalar_t>;
        // Most parameters have taken the same number of steps.
        std::vector<Coefficients<Acc>> coefficients;
        coefficients.reserve(lists.parameters.size());
        for (size_t i = 0; i < lists.parameters.size(); ++i) {
          const bool repeats =
              i > 0 && (lists.steps.empty() || lists.steps[i] == lists.steps[i - 1]);
          coefficients.push_back(
              repeats ? coefficients[i - 1]
                      : CoefficientsOf<Acc>(options, lists.steps.empty() ? 1 : lists.steps[i]));
        }
        const auto at = [](const at::Tensor& tensor, int64_t begin) {
          return tensor.mutable_data_ptr<scalar_t>() + begin;
        };
        ParallelOverLists(lists.parameters, [&](size_t i, int64_t begin, int64_t count) {
          WithStart(coefficients[i].average.start, [&](auto start) {
            AdamwRange<start()>(at(lists.parameters[i], begin),
                                lists.gradients[i].const_data_ptr<scalar_t>() + begin,
                                at(lists.exp_avgs[i], begin), at(lists.exp_avg_sqs[i], begin),
                                lists.teachers.empty() ? nullptr : at(lists.teachers[i], begin),
                                count, coefficients[i]);
          });
        });
      });
}

void AdamwEmaCpu(at::TensorList parameters, at::TensorList gradients, at::TensorList exp_avgs,
                 at::TensorList exp_avg_sqs, at::TensorList steps, at::TensorList teachers,
                 double lr, double beta1, double beta2, double eps, double weight_decay,
                 double ema_factor, const std::optional<at::Tensor>& scalars) {
  RunAdamwEma(AdamwEmaOnCpu, parameters, gradients, exp_avgs, exp_avg_sqs, steps, teachers,
              {lr, beta1, beta2, eps, weight_decay, ema_factor, scalars.value_or(at::Tensor())});
}

M3L_KERNELS(CPU, library) { library.impl("adamw_ema_", AdamwEmaCpu); }

}  // namespace
}  // namespace m3l
