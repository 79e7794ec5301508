#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "bilinear_scale.h"
#include "computes_in.h"

namespace m3l::cuda {

/** Maps of one launch; their addresses travel as kernel arguments. */
constexpr int kMostMaps = 16;

/** Between the grid of a map and that of the sum. */
template <typename T>
struct MapAxes {
  BilinearScale<ComputesIn<T>, false> rows;
  BilinearScale<ComputesIn<T>, false> columns;
};

/** base and to [B, height, width, C] of T (float, double, __half, __nv_bfloat16), each map
 * [B, h_i, w_i, C]. */
template <typename T>
struct UpsampleSum {
  const T* base;
  T* to;
  const T* maps[kMostMaps];
  MapAxes<T> axes[kMostMaps];
  int count;
  std::int64_t batch, channels;
  int height, width;
  bool relu;
};

template <typename T>
void LaunchUpsampleSum(const UpsampleSum<T>& sum, cudaStream_t stream);

/** The gradients of maps, each [B, h_i, w_i, C], from that of the sum, [B, height, width, C]. */
template <typename T>
struct UpsampleSumBackward {
  const T* gradient;
  T* to[kMostMaps];
  MapAxes<T> axes[kMostMaps];
  int count;
  std::int64_t batch, channels;
};

template <typename T>
void LaunchUpsampleSumBackward(const UpsampleSumBackward<T>& sum, cudaStream_t stream);

}  // namespace m3l::cuda
