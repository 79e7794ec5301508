// One element: what it is computed in, and how many of them one access takes.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

namespace m3l::cuda {

/** What a type is computed in: double for double, else float. */
template <typename T>
struct Computes {
  using Type = float;
};
template <>
struct Computes<double> {
  using Type = double;
};
template <typename T>
using ComputesIn = typename Computes<T>::Type;

__device__ __forceinline__ float Widen(float x) { return x; }
__device__ __forceinline__ double Widen(double x) { return x; }
__device__ __forceinline__ float Widen(__half x) { return __half2float(x); }
__device__ __forceinline__ float Widen(__nv_bfloat16 x) { return __bfloat162float(x); }

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
