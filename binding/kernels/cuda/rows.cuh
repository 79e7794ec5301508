// What the kernels over rows of tokens share: 16-byte accesses, sums over a group of lanes, and
// sums over blocks in a fixed order.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "element.cuh"
#include "launch.cuh"

namespace m3l::cuda {

/** kCount elements, a multiple of kVector<T>, from an address that is a multiple of 16. */
template <int kCount, typename T>
__device__ __forceinline__ void LoadVector(const T* from, ComputesIn<T> (&to)[kCount]) {
  static_assert(kCount % kVector<T> == 0);
#pragma unroll
  for (int first = 0; first < kCount; first += kVector<T>) {
    const uint4 raw = *reinterpret_cast<const uint4*>(from + first);
    ComputesIn<T> values[kVector<T>];
    WidenAll<kVector<T>, T>(&raw, values);
#pragma unroll
    for (int i = 0; i < kVector<T>; ++i) to[first + i] = values[i];
  }
}

template <int kCount, typename T>
__device__ __forceinline__ void StoreVector(T* to, const ComputesIn<T> (&from)[kCount]) {
  static_assert(kCount % kVector<T> == 0);
#pragma unroll
  for (int first = 0; first < kCount; first += kVector<T>) {
    T values[kVector<T>];
#pragma unroll
    for (int i = 0; i < kVector<T>; ++i) values[i] = Narrow<T>(from[first + i]);
    uint4 raw;
    __builtin_memcpy(&raw, values, sizeof(raw));
    *reinterpret_cast<uint4*>(to + first) = raw;
  }
}

/** The sum over kLanes neighbouring lanes, in each of them; groups of a warp may diverge. */
template <int kLanes, typename A>
__device__ __forceinline__ A GroupSum(A value) {
  const unsigned first = (threadIdx.x % 32) / kLanes * kLanes;
  const unsigned mask = kLanes == 32 ? 0xffffffffU : ((1U << (kLanes % 32)) - 1U) << first;
#pragma unroll
  for (int offset = kLanes / 2; offset > 0; offset /= 2) {
    value += __shfl_xor_sync(mask, value, offset);
  }
  return value;
}

inline bool Aligned(const void* pointer) {
  return reinterpret_cast<std::uintptr_t>(pointer) % 16 == 0;
}

constexpr int kColumns = 32;
constexpr int kSlices = 8;

/**
 * result[i] = Σ_slot partial[slot][i], in double and always in the same order. Blocks of 32 × 8:
 * each of the 8 rows of threads sums every 8th slot, the first row adds the 8. Reads are coalesced;
 * 2 KB of shared memory and few registers: full occupancy, though latency of L2 is all that counts
 * here.
 */
template <typename A, typename T>
__global__ void __launch_bounds__(kColumns* kSlices)
    AddSlots(const A* partial, int slots, int size, T* result) {
  __shared__ double sums[kSlices][kColumns];
  const int i = static_cast<int>(blockIdx.x) * kColumns + static_cast<int>(threadIdx.x);
  double sum = 0;
  if (i < size) {
    for (int slot = static_cast<int>(threadIdx.y); slot < slots; slot += kSlices) {
      sum += partial[static_cast<std::int64_t>(slot) * size + i];
    }
  }
  sums[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y != 0 || i >= size) return;
#pragma unroll
  for (int slice = 1; slice < kSlices; ++slice) sum += sums[slice][threadIdx.x];
  result[i] = Narrow<T>(static_cast<ComputesIn<T>>(sum));
}

template <typename A, typename T>
void LaunchAddSlots(const A* partial, int slots, int size, T* result, cudaStream_t stream) {
  if (size == 0) return;
  const dim3 threads(kColumns, kSlices);
  Launch(AddSlots<A, T>, (size + kColumns - 1) / kColumns, threads, 0, stream, partial, slots, size,
         result);
}

}  // namespace m3l::cuda
