#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace m3l::cuda {

/** Adds to counts [K, K] and out_of_range [4]. L and P: uint8_t or int64_t. */
template <typename L, typename P>
void LaunchConfusionMatrixAdd(const L* labels, const P* predictions, std::int64_t* counts,
                              std::int64_t* out_of_range, std::int64_t pixels, int classes,
                              std::int64_t ignore, cudaStream_t stream);

}  // namespace m3l::cuda
