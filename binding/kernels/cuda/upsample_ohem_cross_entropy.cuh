#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace m3l::cuda {

/** Heads of one launch; their addresses travel as kernel arguments. */
constexpr int kMostHeads = 16;

/** A label that is no class, in the host's memory, where kernels write it. */
struct LabelFault {
  /** Written last. */
  int seen;
  /** Whether `pseudo` has it, else `labels`. */
  int pseudo;
  int classes;
  std::int64_t label;
  std::int64_t ignore;
};

/** What the kernels of a call share. T: float or double. */
template <typename T>
struct UpsampleLoss {
  /** Of each head [B, K, h, w]. */
  const T* logits[kMostHeads];
  /** Heads to differentiate, in the order of the derivatives. */
  int differentiable[kMostHeads];
  int heads, differentiated;
  /** `samples`: B with pseudo labels, else N. */
  int samples, labelled, classes, low_height, low_width, height, width;
  /** [N, H, W] or null, and [B, H, W] or null. */
  const std::int64_t* labels;
  const std::int64_t* pseudo;
  std::int64_t ignore;
  T threshold;
  std::int64_t min_kept;

  /** Scratch: log Σ exp of each pixel's logits, [P, samples, H, W]. */
  T* log_sums;
  /** Scratch [P, N, H, W]: first the loss of each pixel (negative: void), then 1 where kept, else
   * 0. */
  T* kept;
  /** Scratch of `UpsampleLossScratch` bytes, zeroed, aligned for double. */
  void* sums;

  LabelFault* fault;

  /** Two scalars, NaN where there is a fault. */
  T* loss;
  T* pseudo_loss;
  /** [differentiated, N, K, h, w] and [differentiated, B, K, h, w]; every element is written. */
  T* derivatives;
  T* pseudo_derivatives;
};

template <typename T>
std::int64_t UpsampleLossScratch(const UpsampleLoss<T>& loss);

template <typename T>
void LaunchUpsampleLoss(const UpsampleLoss<T>& loss, cudaStream_t stream);

}  // namespace m3l::cuda
