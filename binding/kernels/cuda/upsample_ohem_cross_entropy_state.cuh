// What the kernels of the losses share and leave for each other.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "bilinear.cuh"
#include "launch.cuh"
#include "upsample_ohem_cross_entropy.cuh"

namespace m3l::cuda {

constexpr int kThreads = 256;
/** Values of the eight bits that one round of the selection settles. */
constexpr int kDigits = 256;

inline unsigned Blocks(std::int64_t threads) {
  return static_cast<unsigned>((threads + kThreads - 1) / kThreads);
}

struct PixelSums {
  double loss;
  double pseudo_loss;
  unsigned long long kept;
  unsigned long long pseudo_counted;

  __device__ PixelSums& operator+=(const PixelSums& other) {
    loss += other.loss;
    pseudo_loss += other.pseudo_loss;
    kept += other.kept;
    pseudo_counted += other.pseudo_counted;
    return *this;
  }
};

/** The sum over the block, in thread 0: over each warp, then over the warps, always in one order.
 */
__device__ __forceinline__ PixelSums BlockSum(PixelSums mine) {
  __shared__ PixelSums warps[kThreads / 32];
  for (int offset = 16; offset > 0; offset /= 2) {
    PixelSums other;
    other.loss = __shfl_down_sync(0xffffffffU, mine.loss, offset);
    other.pseudo_loss = __shfl_down_sync(0xffffffffU, mine.pseudo_loss, offset);
    other.kept = __shfl_down_sync(0xffffffffU, mine.kept, offset);
    other.pseudo_counted = __shfl_down_sync(0xffffffffU, mine.pseudo_counted, offset);
    mine += other;
  }
  if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = mine;
  __syncthreads();
  if (threadIdx.x == 0) {
    for (int warp = 1; warp < kThreads / 32; ++warp) mine += warps[warp];
  }
  __syncthreads();
  return mine;
}

/** The sum of `count` parts, by one block, in thread 0. */
__device__ __forceinline__ PixelSums AddUp(const PixelSums* parts, int count) {
  PixelSums mine{};
  for (int i = static_cast<int>(threadIdx.x); i < count; i += kThreads) mine += parts[i];
  return BlockSum(mine);
}

template <typename T>
struct HeadState {
  PixelSums sums;
  /** Pixels that the threshold keeps too few; while selecting, the rank among the candidates left.
   */
  std::int64_t missing;
  /** The bits of the probability looked for that are known already. */
  unsigned long long prefix;
  T cut;
  T share;
  T pseudo_share;
  bool selecting;
  unsigned histogram[kDigits];
};

/** The first label found that is no class. */
struct WrongLabel {
  std::int64_t label;
  unsigned seen;
  bool pseudo;
};

/** Where in the scratch each thing is. */
template <typename T>
struct State {
  WrongLabel* wrong;
  HeadState<T>* heads;
  PixelSums* parts;

  __host__ __device__ explicit State(const UpsampleLoss<T>& loss)
      : wrong(static_cast<WrongLabel*>(loss.sums)),
        heads(reinterpret_cast<HeadState<T>*>(wrong + 1)),
        parts(reinterpret_cast<PixelSums*>(heads + loss.heads)) {}

  std::int64_t Bytes(const UpsampleLoss<T>& loss) const {
    const std::int64_t pixels = static_cast<std::int64_t>(loss.height) * loss.width;
    const std::int64_t blocks = static_cast<std::int64_t>(Blocks(pixels)) * loss.samples;
    return static_cast<std::int64_t>(sizeof(WrongLabel)) +
           loss.heads *
               static_cast<std::int64_t>(sizeof(HeadState<T>) + blocks * sizeof(PixelSums));
  }
};

/** The logits of the pixel between two low rows and two low columns. */
template <typename T>
struct Interpolation {
  const T* top_left;
  int to_right;
  std::int64_t to_bottom;
  std::int64_t plane;
  T row_weight;
  T column_weight;

  __device__ __forceinline__ Interpolation(const UpsampleLoss<T>& loss, int head, int sample,
                                           const BilinearPoint<T>& row,
                                           const BilinearPoint<T>& column)
      : to_right(column.next - column.index),
        to_bottom(static_cast<std::int64_t>(row.next - row.index) * loss.low_width),
        plane(static_cast<std::int64_t>(loss.low_height) * loss.low_width),
        row_weight(row.weight),
        column_weight(column.weight) {
    top_left = loss.logits[head] + static_cast<std::int64_t>(sample) * loss.classes * plane +
               static_cast<std::int64_t>(row.index) * loss.low_width + column.index;
  }

  __device__ __forceinline__ T operator()(int k) const {
    const T* const top = top_left + k * plane;
    const T* const bottom = top + to_bottom;
    const T above = (T(1) - column_weight) * __ldg(top) + column_weight * __ldg(top + to_right);
    const T below =
        (T(1) - column_weight) * __ldg(bottom) + column_weight * __ldg(bottom + to_right);
    return (T(1) - row_weight) * above + row_weight * below;
  }
};

}  // namespace m3l::cuda
