#include "../ema_update.h"

#include "ema_update.cuh"
#include "host.h"
#include "native_type.h"

namespace m3l {
namespace {

void EmaUpdateOnCuda(const std::vector<at::Tensor>& teachers,
                     const std::vector<at::Tensor>& students, const EmaFactor& factor) {
  const double* dynamic =
      factor.dynamic.defined() ? factor.dynamic.const_data_ptr<double>() : nullptr;
  AT_DISPATCH_FLOATING_TYPES_AND2(
      at::kHalf, at::kBFloat16, teachers[0].scalar_type(), "ema_update_", [&] {
        std::vector<cuda::EmaEntry<typename cuda::NativeType<scalar_t>::Type>> entries;
        entries.reserve(teachers.size());
        for (size_t i = 0; i < teachers.size(); ++i) {
          entries.push_back({cuda::MutableNative<scalar_t>(teachers[i]),
                             cuda::Native<scalar_t>(students[i]), teachers[i].numel()});
        }
        cuda::LaunchEmaUpdate(entries.data(), static_cast<int>(entries.size()),
                              {factor.value, dynamic}, c10::cuda::getCurrentCUDAStream());
        C10_CUDA_KERNEL_LAUNCH_CHECK();
      });
}

void EmaUpdateCuda(at::TensorList teachers, at::TensorList students, double factor,
                   const std::optional<at::Tensor>& scalar) {
  const c10::cuda::OptionalCUDAGuard guard(at::device_of(teachers));
  RunEmaUpdate(EmaUpdateOnCuda, teachers, students, {factor, scalar.value_or(at::Tensor())});
}

M3L_CUDA_KERNELS(library) { library.impl("ema_update_", EmaUpdateCuda); }

}  // namespace
}  // namespace m3l
