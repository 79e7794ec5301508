#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace m3l::cuda {

/** M modalities of `positions` = B · N tokens of C channels, a row of a batch being N of them. */
struct NormSizes {
  int modalities;
  int batch;
  int tokens;
  int positions;
  int channels;
  /** The share of a modality's own branch and of each other one; 0: nothing is fused. */
  double own;
  double other;
};

/** T: residual and sum as stored, N: branch and normal, equal or narrower; A: as computed, double
 * for double, else float. As FuseResidualNormForward. */
template <typename T, typename N, typename A>
struct NormForward {
  NormSizes sizes;
  double eps;
  const T* residual;
  const N* branch;  // null: sum is not written
  const A* scale;   // null: 1
  const A* weight;
  const A* bias;
  T* sum;
  N* normal;
  A* mean;
  A* rstd;
};

/** As FuseResidualNormBackward; a null pointer: absent, or not needed. */
template <typename T, typename N, typename A>
struct NormBackward {
  NormSizes sizes;
  const T* sum_gradient;
  const N* normal_gradient;
  const T* sum;
  const A* scale;
  const A* weight;
  const A* mean;
  const A* rstd;
  T* residual_gradient;
  N* branch_gradient;
  A* partial;          // [slots, M, 2, C] of NormSlots
  A* affine_gradient;  // [M, 2, C]: of weight, of bias
};

template <typename T, typename N, typename A>
void LaunchNormForward(const NormForward<T, N, A>& rows, cudaStream_t stream);

/** How many partial sums of weights and biases the backward pass makes on the current device. */
int NormSlots(const NormSizes& sizes);

template <typename T, typename N, typename A>
void LaunchNormBackward(const NormBackward<T, N, A>& rows, int slots, cudaStream_t stream);

}  // namespace m3l::cuda
