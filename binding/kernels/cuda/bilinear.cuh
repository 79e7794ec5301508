// Bilinear interpolation: where an output position lies between inputs.
#pragma once

#include <cuda_runtime.h>

#include "bilinear_scale.h"

namespace m3l::cuda {

template <typename T>
struct BilinearPoint {
  int index;
  int next;
  T weight;

  /** The share that the input `at` has in the output. */
  __device__ __forceinline__ T WeightOf(int at) const {
    return (index == at ? T(1) - weight : T(0)) + (next == at ? weight : T(0));
  }
};

/** One axis; T is what positions are computed in, with torch's own rounding. */
template <typename T, bool kAligned = true>
struct BilinearAxis : BilinearScale<T, kAligned> {
  using BilinearScale<T, kAligned>::BilinearScale;
  using BilinearScale<T, kAligned>::from;
  using BilinearScale<T, kAligned>::to;
  using BilinearScale<T, kAligned>::scale;

  __device__ __forceinline__ explicit BilinearAxis(const BilinearScale<T, kAligned>& axis)
      : BilinearScale<T, kAligned>(axis) {}

  __device__ __forceinline__ T Position(int i) const {
    if constexpr (kAligned) {
      return scale * static_cast<T>(i);
    } else {
      return max(scale * (static_cast<T>(i) + T(0.5)) - T(0.5), T(0));
    }
  }

  __device__ __forceinline__ int Index(int i) const {
    return min(static_cast<int>(Position(i)), from - 1);
  }

  __device__ __forceinline__ BilinearPoint<T> At(int i) const {
    const int index = Index(i);
    const T beyond = Position(i) - static_cast<T>(index);
    return {index, min(index + 1, from - 1), min(max(beyond, T(0)), T(1))};
  }

  /** The first output position whose index is at least `cell`; `to` where there is none. */
  __device__ __forceinline__ int FirstFrom(int cell) const {
    if (cell <= 0) return 0;
    if (scale == T(0)) return to;
    constexpr T kCentre = kAligned ? T(0) : T(0.5);
    const T guess = (static_cast<T>(cell) + kCentre) / scale - kCentre;
    int i = min(static_cast<int>(max(guess, T(0))), to);
    while (i > 0 && Index(i - 1) >= cell) --i;
    while (i < to && Index(i) < cell) ++i;
    return i;
  }
};

}  // namespace m3l::cuda
