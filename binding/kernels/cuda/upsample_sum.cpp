#include "../upsample_sum.h"

#include <algorithm>
#include <vector>

#include "host.h"
#include "native_type.h"
#include "upsample_sum.cuh"

namespace m3l {
namespace {

void CheckGrid(int64_t height, int64_t width) {
  constexpr int64_t kMost = int64_t{1} << 30;
  TORCH_CHECK(height <= kMost && width <= kMost, "upsample_sum: a grid of ", height, " × ", width,
              ", expected at most ", kMost, " rows and columns on CUDA");
}

template <typename T>
cuda::MapAxes<T> Axes(int64_t rows, int64_t columns, int64_t height, int64_t width) {
  const auto axis = [](int64_t from, int64_t to) {
    return decltype(cuda::MapAxes<T>::rows)(static_cast<int>(from), static_cast<int>(to));
  };
  return {axis(rows, height), axis(columns, width)};
}

at::Tensor UpsampleSumCuda(const at::Tensor& base, at::TensorList maps, at::IntArrayRef sizes,
                           int64_t height, int64_t width, bool relu) {
  CheckUpsampleSum(base, maps, sizes, height, width);
  auto result = at::empty(base.sizes(), base.options());
  if (result.numel() == 0) {
    return result;
  }
  const c10::cuda::CUDAGuard guard(base.device());
  CheckGrid(height, width);
  auto from = base.contiguous();
  size_t done = 0;
  do {  // with no map too
    const size_t count = std::min<size_t>(maps.size() - done, cuda::kMostMaps);
    const bool last = done + count == maps.size();
    std::vector<at::Tensor> held;
    AT_DISPATCH_FLOATING_TYPES_AND2(
        at::kBFloat16, at::kHalf, base.scalar_type(), "upsample_sum", [&] {
          using native_t = typename cuda::NativeType<scalar_t>::Type;
          cuda::UpsampleSum<native_t> sum{};
          sum.base = cuda::Native<scalar_t>(from);
          sum.to = cuda::MutableNative<scalar_t>(result);
          for (size_t i = 0; i < count; ++i) {
            const int64_t rows = sizes[2 * (done + i)];
            const int64_t columns = sizes[2 * (done + i) + 1];
            CheckGrid(rows, columns);
            held.push_back(maps[done + i].contiguous());
            sum.maps[i] = cuda::Native<scalar_t>(held.back());
            sum.axes[i] = Axes<native_t>(rows, columns, height, width);
          }
          sum.count = static_cast<int>(count);
          sum.batch = base.size(0);
          sum.channels = base.size(2);
          sum.height = static_cast<int>(height);
          sum.width = static_cast<int>(width);
          sum.relu = relu && last;
          cuda::LaunchUpsampleSum(sum, c10::cuda::getCurrentCUDAStream());
        });
    C10_CUDA_KERNEL_LAUNCH_CHECK();
    from = result;
    done += count;
  } while (done < maps.size());
  return result;
}

std::vector<at::Tensor> UpsampleSumBackwardCuda(const at::Tensor& gradient, int64_t height,
                                                int64_t width, at::IntArrayRef sizes) {
  CheckUpsampleSumBackward(gradient, height, width, sizes);
  const size_t maps = sizes.size() / 2;
  std::vector<at::Tensor> found;
  for (size_t i = 0; i < maps; ++i) {
    found.push_back(at::empty({gradient.size(0), sizes[2 * i] * sizes[2 * i + 1], gradient.size(2)},
                              gradient.options()));
  }
  if (gradient.numel() == 0 || maps == 0) {
    return found;
  }
  CheckGrid(height, width);
  const c10::cuda::CUDAGuard guard(gradient.device());
  const auto from = gradient.contiguous();
  for (size_t done = 0; done < maps; done += cuda::kMostMaps) {
    AT_DISPATCH_FLOATING_TYPES_AND2(
        at::kBFloat16, at::kHalf, gradient.scalar_type(), "upsample_sum_backward", [&] {
          using native_t = typename cuda::NativeType<scalar_t>::Type;
          cuda::UpsampleSumBackward<native_t> sum{};
          sum.gradient = cuda::Native<scalar_t>(from);
          sum.count = static_cast<int>(std::min<size_t>(maps - done, cuda::kMostMaps));
          sum.batch = gradient.size(0);
          sum.channels = gradient.size(2);
          for (int i = 0; i < sum.count; ++i) {
            const size_t map = done + static_cast<size_t>(i);
            CheckGrid(sizes[2 * map], sizes[2 * map + 1]);
            sum.to[i] = cuda::MutableNative<scalar_t>(found[map]);
            sum.axes[i] = Axes<native_t>(sizes[2 * map], sizes[2 * map + 1], height, width);
          }
          cuda::LaunchUpsampleSumBackward(sum, c10::cuda::getCurrentCUDAStream());
        });
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  }
  return found;
}

M3L_CUDA_KERNELS(library) {
  library.impl("upsample_sum", UpsampleSumCuda);
  library.impl("upsample_sum_backward", UpsampleSumBackwardCuda);
}

}  // namespace
}  // namespace m3l
