#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace m3l::cuda {

/** Tensors of `size` elements, dense and of equal layout. */
template <typename T>
struct EmaEntry {
  T* teacher;
  const T* student;
  std::int64_t size;
};

/** teacher ← factor · teacher + (1 − factor) · student for `count` tensors. */
template <typename T>
void LaunchEmaUpdate(const EmaEntry<T>* entries, int count, double factor, cudaStream_t stream);

}  // namespace m3l::cuda
