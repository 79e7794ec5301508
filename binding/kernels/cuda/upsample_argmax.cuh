#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace m3l::cuda {

/**
 * logits [B, K, h, w] of T (float, double, __half, __nv_bfloat16), valid [B, H, W] or null, to out
 * [B, H, W]. A negative confidence asks for none.
 */
template <typename T>
void LaunchUpsampleArgmax(const T* logits, const bool* valid, std::int64_t* out, int batch,
                          int classes, int low_height, int low_width, int height, int width,
                          double confidence, std::int64_t ignore, cudaStream_t stream);

}  // namespace m3l::cuda
