// One element: how it is read and written, and how many of them one access takes.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <type_traits>

#include "computes_in.h"

/** `instantiate(T)` for each type that a tensor of tokens may have. */
#define M3L_EACH_TYPE(instantiate) \
  instantiate(float) instantiate(double) instantiate(__half) instantiate(__nv_bfloat16)

namespace m3l::cuda {

__device__ __forceinline__ float Widen(float x) { return x; }
__device__ __forceinline__ double Widen(double x) { return x; }
__device__ __forceinline__ float Widen(__half x) { return __half2float(x); }
__device__ __forceinline__ float Widen(__nv_bfloat16 x) { return __bfloat162float(x); }

/** kCount elements as they lie in memory. bfloat16 by its bits, two a word: what nvcc makes of its
 * conversion takes an instruction more for every other one. */
template <int kCount, typename T>
__device__ __forceinline__ void WidenAll(const void* from, ComputesIn<T> (&to)[kCount]) {
  if constexpr (std::is_same_v<T, __nv_bfloat16> && kCount % 2 == 0) {
    unsigned words[kCount / 2];
    __builtin_memcpy(words, from, sizeof(words));
#pragma unroll
    for (int i = 0; i < kCount / 2; ++i) {
      to[2 * i] = __uint_as_float(words[i] << 16);
      to[2 * i + 1] = __uint_as_float(words[i] & 0xffff0000U);
    }
  } else {
    T values[kCount];
    __builtin_memcpy(values, from, sizeof(values));
#pragma unroll
    for (int i = 0; i < kCount; ++i) to[i] = Widen(values[i]);
  }
}

template <typename T>
__device__ __forceinline__ T Narrow(ComputesIn<T> x) {
  return x;
}
template <>
__device__ __forceinline__ __half Narrow<__half>(float x) {
  return __float2half_rn(x);
}
template <>
__device__ __forceinline__ __nv_bfloat16 Narrow<__nv_bfloat16>(float x) {
  return __float2bfloat16_rn(x);
}

/** Elements of T in one access of 16 bytes. */
template <typename T>
constexpr int kVector = 16 / static_cast<int>(sizeof(T));

}  // namespace m3l::cuda
