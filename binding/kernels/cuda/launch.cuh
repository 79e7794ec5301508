// How kernels are launched, and get memory whose size the launch gives, and instructions that CUDA
// has no function for: what only nvcc can read. On the CPU all are emulation/launch.h's, so that
// what is beside them compiles with either.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>

#ifdef M3L_EMULATED_CUDA
#include "../emulation/launch.h"
#else

#include <utility>

namespace m3l::cuda {

/** `kernel` on a grid of blocks, each with `shared` bytes of DynamicShared. */
template <typename... Parameters, typename... Arguments>
void Launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, std::size_t shared,
            cudaStream_t stream, Arguments&&... arguments) {
  // clang-format takes this header for C++, and would write > > >.
  // clang-format off
  kernel<<<grid, block, shared, stream>>>(std::forward<Arguments>(arguments)...);
  // clang-format on
}

/** The block's memory, as many bytes as its launch gave, aligned to 16. */
template <typename T>
__device__ __forceinline__ T* DynamicShared() {
  extern __shared__ __align__(16) unsigned char m3l_dynamic_shared[];
  return reinterpret_cast<T*>(m3l_dynamic_shared);
}

/** 2^x to two units in the last place, 0 below 2^-126. */
__device__ __forceinline__ float PowerOf2(float x) {
  float result;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x));
  return result;
}

/** The lesser, or NaN where either is. */
__device__ __forceinline__ float LeastOrNan(float x, float y) {
  float result;
  asm("min.NaN.f32 %0, %1, %2;" : "=f"(result) : "f"(x), "f"(y));
  return result;
}

}  // namespace m3l::cuda

#endif
