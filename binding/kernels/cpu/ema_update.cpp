#include "../ema_update.h"

#include "adamw_ema_lists.h"
#include "narrow.h"
#include "vector.h"

namespace m3l {
namespace {

template <Start kStart, typename T>
M3L_VECTORISED void EmaRange(T* __restrict teacher, const T* __restrict student, int64_t count,
                             Average<at::opmath_type<T>> average) {
  using Acc = at::opmath_type<T>;
  for (int64_t i = 0; i < count; ++i) {
    teacher[i] = cpu::Narrowed<T>(
        average.template Of<kStart>(cpu::Widened<Acc>(teacher[i]), cpu::Widened<Acc>(student[i])));
  }
}

void EmaUpdateOnCpu(const std::vector<at::Tensor>& teachers,
                    const std::vector<at::Tensor>& students, const EmaFactor& factor) {
  const double value =
      factor.dynamic.defined() ? *factor.dynamic.const_data_ptr<double>() : factor.value;
  AT_DISPATCH_FLOATING_TYPES_AND2(
      at::kHalf, at::kBFloat16, teachers[0].scalar_type(), "ema_update_", [&] {
        const Average<at::opmath_type<scalar_t>> average(value);
        ParallelOverLists(teachers, [&](size_t index, int64_t begin, int64_t count) {
          WithStart(average.start, [&](auto start) {
            EmaRange<start()>(teachers[index].mutable_data_ptr<scalar_t>() + begin,
                              students[index].const_data_ptr<scalar_t>() + begin, count, average);
          });
        });
      });
}

void EmaUpdateCpu(at::TensorList teachers, at::TensorList students, double factor,
                  const std::optional<at::Tensor>& scalar) {
  RunEmaUpdate(EmaUpdateOnCpu, teachers, students, {factor, scalar.value_or(at::Tensor())});
}

M3L_KERNELS(CPU, library) { library.impl("ema_update_", EmaUpdateCpu); }

}  // namespace
}  // namespace m3l
