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

/** What sums over pixels take, so that a block's sum costs each little. */
constexpr int kPixelsAThread = 4;
constexpr int kPixelsABlock = kPixelsAThread * kThreads;

inline unsigned PixelBlocks(std::int64_t pixels) {
  return static_cast<unsigned>((pixels + kPixelsABlock - 1) / kPixelsABlock);
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
    // KeepPixels has no more: its blocks go on from sample to sample.
    const std::int64_t blocks = static_cast<std::int64_t>(PixelBlocks(pixels)) * loss.samples;
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
  int to_bottom;
  int plane;
  T row_weight;
  T column_weight;

  __device__ __forceinline__ Interpolation(const UpsampleLoss<T>& loss, int head, int sample,
                                           const BilinearPoint<T>& row,
                                           const BilinearPoint<T>& column)
      : to_right(column.next - column.index),
        to_bottom((row.next - row.index) * loss.low_width),
        plane(loss.low_height * loss.low_width),
        row_weight(row.weight),
        column_weight(column.weight) {
    top_left = loss.logits[head] + static_cast<std::int64_t>(sample) * loss.classes * plane +
               row.index * loss.low_width + column.index;
  }

  /** Where the next class's is. */
  struct Cursor {
    const T* corners[2][2];
  };

  __device__ __forceinline__ Cursor From(int k) const {
    const T* const at = top_left + static_cast<std::int64_t>(k) * plane;
    return {{{at, at + to_right}, {at + to_bottom, at + to_bottom + to_right}}};
  }

  /** The class's logit, and on to the next class. */
  __device__ __forceinline__ T Next(Cursor& at) const {
    T between[2];
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      between[i] = (T(1) - column_weight) * __ldg(at.corners[i][0]) +
                   column_weight * __ldg(at.corners[i][1]);
      at.corners[i][0] += plane;
      at.corners[i][1] += plane;
    }
    return (T(1) - row_weight) * between[0] + row_weight * between[1];
  }

  __device__ __forceinline__ T operator()(int k) const {
    Cursor at = From(k);
    return Next(at);
  }
};

}  // namespace m3l::cuda
