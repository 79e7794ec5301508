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

/** On the device in `dynamic`, or `value` where that is null. */
struct EmaFactor {
  double value;
  const double* dynamic;
};

/** teacher ← factor · teacher + (1 − factor) · student for `count` tensors. */
template <typename T>
void LaunchEmaUpdate(const EmaEntry<T>* entries, int count, EmaFactor factor, cudaStream_t stream);

}  // namespace m3l::cuda
