#include "../upsample_argmax.h"

#include "host.h"
#include "native_type.h"
#include "upsample_argmax.cuh"

namespace m3l {
namespace {

at::Tensor UpsampleArgmaxCuda(const at::Tensor& logits, at::IntArrayRef size,
                              std::optional<double> confidence,
                              const std::optional<at::Tensor>& valid, int64_t ignore_index) {
  CheckUpsampleArgmax(logits, size, valid);
  TORCH_CHECK(logits.size(0) <= 65535 && size[0] * size[1] <= INT32_MAX,
              "upsample_argmax: ", logits.size(0), " samples of ", size,
              ", expected at most 65535, each of fewer than 2^31 pixels");
  const c10::cuda::CUDAGuard guard(logits.device());
  const auto values = logits.contiguous();
  const auto where = valid && valid->defined() ? valid->contiguous() : at::Tensor();
  auto out = at::empty({values.size(0), size[0], size[1]}, values.options().dtype(at::kLong));
  AT_DISPATCH_FLOATING_TYPES_AND2(
      at::kBFloat16, at::kHalf, values.scalar_type(), "upsample_argmax", [&] {
        cuda::LaunchUpsampleArgmax(
            cuda::Native<scalar_t>(values), cuda::Native<bool>(where),
            out.mutable_data_ptr<int64_t>(), static_cast<int>(values.size(0)),
            static_cast<int>(values.size(1)), static_cast<int>(values.size(2)),
            static_cast<int>(values.size(3)), static_cast<int>(size[0]), static_cast<int>(size[1]),
            confidence.value_or(-1), ignore_index, c10::cuda::getCurrentCUDAStream());
      });
  C10_CUDA_KERNEL_LAUNCH_CHECK();
  return out;
}

M3L_CUDA_KERNELS(library) { library.impl("upsample_argmax", UpsampleArgmaxCuda); }

}  // namespace
}  // namespace m3l
