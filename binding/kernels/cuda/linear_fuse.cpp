#include "../linear_fuse.h"

#include "host.h"
#include "linear_fuse.cuh"
#include "native_type.h"

namespace m3l {
namespace {

at::Tensor LinearFuseCuda(const at::Tensor& tokens, int64_t modalities, double ratio) {
  CheckLinearFuse(tokens, modalities);
  const c10::cuda::CUDAGuard guard(tokens.device());
  const auto x = tokens.contiguous();
  auto y = at::empty(x.sizes(), x.options());
  const double other = (1 - ratio) / static_cast<double>(modalities - 1);
  AT_DISPATCH_FLOATING_TYPES_AND2(at::kBFloat16, at::kHalf, x.scalar_type(), "linear_fuse", [&] {
    cuda::LaunchLinearFuse(cuda::Native<scalar_t>(x), cuda::MutableNative<scalar_t>(y),
                           x.numel() / modalities, static_cast<int>(modalities), ratio, other,
                           c10::cuda::getCurrentCUDAStream());
  });
  C10_CUDA_KERNEL_LAUNCH_CHECK();
  return y;
}

M3L_CUDA_KERNELS(library) { library.impl("linear_fuse", LinearFuseCuda); }

}  // namespace
}  // namespace m3l
