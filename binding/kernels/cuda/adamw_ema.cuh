#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace m3l::cuda {

/** Tensors of `size` elements, dense and of equal layout; `teacher` null: without one. */
template <typename T>
struct AdamwEntry {
  T* parameter;
  const T* gradient;
  T* exp_avg;
  T* exp_avg_sq;
  T* teacher;
  std::int64_t size;
  /** lr / (1 − beta1^step), and √(1 − beta2^step). */
  double step_size;
  double bias_correction2_sqrt;
};

/** What all tensors share. */
struct AdamwShared {
  double lr;
  double beta1;
  double beta2;
  double eps;
  double weight_decay;
  double ema_factor;
  /** On the device, or null: lr, 1 − beta1^step, 1 − beta2^step, ema_factor, in place of the
   * others. */
  const double* dynamic;
};

/** One AdamW step for `count` tensors that writes the teachers in the same pass. */
template <typename T>
void LaunchAdamwEma(const AdamwEntry<T>* entries, int count, const AdamwShared& shared,
                    cudaStream_t stream);

}  // namespace m3l::cuda
