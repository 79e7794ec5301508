// What cuda/launch.cuh is where g++ compiles the kernels for the CPU.
#pragma once

#include <cuda_runtime.h>

#include <source_location>

#include "emulator.h"

namespace m3l::cuda {

/** What a kernel is launched on, and the line that does: known where the argument is converted. */
struct GridHere {
  dim3 grid;
  std::source_location where;

  // Implicit, as from one number to dim3.
  template <typename Grid>
  GridHere(Grid grid, std::source_location where = std::source_location::current())
      : grid(grid), where(where) {}
};

template <typename... Parameters, typename... Arguments>
void Launch(void (*kernel)(Parameters...), const GridHere& grid, dim3 block, std::size_t shared,
            cudaStream_t, const Arguments&... arguments) {
  static_assert((sizeof(Parameters) + ... + 0) <= 32764, "a kernel is passed 32,764 bytes at most");
  const auto thread = [&] { kernel(arguments...); };
  emulation::Run({.grid = grid.grid, .block = block, .shared = shared, .where = grid.where},
                 thread);
}

template <typename T>
T* DynamicShared() {
  return static_cast<T*>(emulation::DynamicSharedMemory());
}

inline float PowerOf2(float x) { return x < -126.0F ? 0.0F : exp2f(x); }
inline float LeastOrNan(float x, float y) { return x < y || x != x ? x : y; }

}  // namespace m3l::cuda
