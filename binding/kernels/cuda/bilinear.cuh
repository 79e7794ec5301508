// Bilinear interpolation with align_corners = true: where an output position lies between inputs.
#pragma once

#include <cuda_runtime.h>

namespace m3l::cuda {

template <typename T>
struct BilinearPoint {
  int index;
  int next;
  T weight;
};

/** One axis; T is what positions are computed in, with torch's own rounding. */
template <typename T>
struct BilinearAxis {
  int from;
  int to;
  T scale;

  BilinearAxis(int inputs, int outputs)
      : from(inputs),
        to(outputs),
        scale(outputs > 1 ? static_cast<T>(inputs - 1) / static_cast<T>(outputs - 1) : T(0)) {}

  __device__ __forceinline__ int Index(int i) const {
    return min(static_cast<int>(scale * static_cast<T>(i)), from - 1);
  }

  __device__ __forceinline__ BilinearPoint<T> At(int i) const {
    const int index = Index(i);
    const T beyond = scale * static_cast<T>(i) - static_cast<T>(index);
    return {index, min(index + 1, from - 1), min(max(beyond, T(0)), T(1))};
  }

  /** The first output position whose index is at least `cell`; `to` where there is none. */
  __device__ __forceinline__ int FirstFrom(int cell) const {
    if (cell <= 0) return 0;
    if (scale == T(0)) return to;
    int i = min(static_cast<int>(static_cast<T>(cell) / scale), to);
    while (i > 0 && Index(i - 1) >= cell) --i;
    while (i < to && Index(i) < cell) ++i;
    return i;
  }
};

}  // namespace m3l::cuda
