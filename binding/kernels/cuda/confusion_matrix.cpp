#include "../confusion_matrix.h"

#include "confusion_matrix.cuh"
#include "host.h"

namespace m3l {
namespace {

void ConfusionMatrixAddCuda(at::Tensor& counts, at::Tensor& out_of_range, const at::Tensor& labels,
                            const at::Tensor& predictions, int64_t ignore_index) {
  CheckConfusionMatrixAdd(counts, out_of_range, labels, predictions);
  TORCH_CHECK(counts.size(0) <= 32767, "confusion_matrix: counts are ", counts.sizes(),
              ", expected at most 32767 classes");
  const c10::cuda::CUDAGuard guard(counts.device());
  WithIntegers(labels, predictions, [&](const auto* rows, const auto* columns) {
    cuda::LaunchConfusionMatrixAdd(rows, columns, counts.mutable_data_ptr<int64_t>(),
                                   out_of_range.mutable_data_ptr<int64_t>(), labels.numel(),
                                   static_cast<int>(counts.size(0)), ignore_index,
                                   c10::cuda::getCurrentCUDAStream());
  });
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

M3L_CUDA_KERNELS(library) { library.impl("confusion_matrix_add_", ConfusionMatrixAddCuda); }

}  // namespace
}  // namespace m3l
