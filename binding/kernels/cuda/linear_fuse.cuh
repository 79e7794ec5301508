#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace m3l::cuda {

/** x and y: M streams of `stride` elements. T: float, double, __half, __nv_bfloat16. */
template <typename T>
void LaunchLinearFuse(const T* x, T* y, std::int64_t stride, int modalities, double own,
                      double other, cudaStream_t stream);

}  // namespace m3l::cuda
