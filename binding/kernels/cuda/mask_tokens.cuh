#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace m3l::cuda {

/**
 * Copies `rows` rows of `bytes` bytes; where mask[row / share] is set, `instead` (null: zeros) in
 * place of the row. The elements have `element` bytes: 2, 4 or 8.
 */
void LaunchSelectRows(const void* from, const void* instead, const bool* mask, std::int64_t share,
                      std::int64_t rows, std::int64_t bytes, int element, void* to,
                      cudaStream_t stream);

/** How many partial sums [slots, C] LaunchSumMasked makes. */
int SumMaskedSlots(std::int64_t rows);

/** result [C] = Σ of the masked rows; `partial` [slots, C], float (double for double). */
template <typename T, typename A>
void LaunchSumMasked(const T* gradient, const bool* mask, std::int64_t share, std::int64_t rows,
                     int channels, A* partial, T* result, cudaStream_t stream);

}  // namespace m3l::cuda
