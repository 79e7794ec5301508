// The min_kept-th smallest probability of each head that needs it: a radix select, eight bits a
// round, among the probabilities above the threshold. A positive float's bits are ordered as it is.
#pragma once

#include "upsample_ohem_cross_entropy_state.cuh"

namespace m3l::cuda {

__device__ __forceinline__ unsigned long long Bits(float x) { return __float_as_uint(x); }
__device__ __forceinline__ unsigned long long Bits(double x) {
  return static_cast<unsigned long long>(__double_as_longlong(x));
}
__device__ __forceinline__ void FromBits(unsigned long long bits, float& x) {
  x = __uint_as_float(static_cast<unsigned>(bits));
}
__device__ __forceinline__ void FromBits(unsigned long long bits, double& x) {
  x = __longlong_as_double(static_cast<long long>(bits));
}

/** Counts the digit at `shift` of the candidates that have the known bits: a block's in shared
 * memory. */
template <typename T>
__global__ void __launch_bounds__(kThreads) CountDigits(UpsampleLoss<T> loss, int shift) {
  HeadState<T>& head = State<T>(loss).heads[blockIdx.y];
  if (!head.selecting) return;
  __shared__ unsigned histogram[kDigits];
  histogram[threadIdx.x] = 0;
  __syncthreads();
  const std::int64_t count = static_cast<std::int64_t>(loss.labelled) * loss.height * loss.width;
  const T* const losses = loss.kept + blockIdx.y * count;
  const std::int64_t stride = static_cast<std::int64_t>(gridDim.x) * kThreads;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x; i < count;
       i += stride) {
    const T value = losses[i];
    const T p = exp(-value);
    // Void is below 0; a NaN fails both.
    if (!(value >= T(0)) || !(p > loss.threshold)) continue;
    const unsigned long long bits = Bits(p);
    // Shifted twice: by all 64 bits at once would be undefined.
    if ((bits >> shift >> 8) != (head.prefix >> shift >> 8)) continue;
    atomicAdd(histogram + (bits >> shift & (kDigits - 1)), 1U);
  }
  __syncthreads();
  if (histogram[threadIdx.x] != 0) atomicAdd(head.histogram + threadIdx.x, histogram[threadIdx.x]);
}

/** A block a head: settles the digit, and after the last one the cut. */
template <typename T>
__global__ void __launch_bounds__(kDigits) PickDigit(UpsampleLoss<T> loss, int shift) {
  HeadState<T>& head = State<T>(loss).heads[blockIdx.x];
  if (!head.selecting) return;
  __shared__ unsigned histogram[kDigits];
  histogram[threadIdx.x] = head.histogram[threadIdx.x];
  head.histogram[threadIdx.x] = 0;
  __syncthreads();
  if (threadIdx.x != 0) return;
  std::int64_t below = 0;
  int digit = 0;
  while (digit < kDigits && below + histogram[digit] < head.missing) below += histogram[digit++];
  if (digit == kDigits) {
    // Fewer valid pixels than are to be kept: all are.
    head.cut = T(1.5);
    head.selecting = false;
    return;
  }
  head.missing -= below;
  head.prefix |= static_cast<unsigned long long>(digit) << shift;
  if (shift == 0) FromBits(head.prefix, head.cut);
}

/** Between the sums and the choice of what is kept: moves the cut of each head that is short of
 * pixels. */
template <typename T>
void LaunchSelect(const UpsampleLoss<T>& loss, cudaStream_t stream) {
  const auto heads = static_cast<unsigned>(loss.heads);
  const unsigned blocks =
      Blocks(static_cast<std::int64_t>(loss.labelled) * loss.height * loss.width);
  constexpr unsigned kMostBlocks = 512;
  for (int shift = static_cast<int>(sizeof(T)) * 8 - 8; shift >= 0; shift -= 8) {
    Launch(CountDigits<T>, dim3(blocks < kMostBlocks ? blocks : kMostBlocks, heads), kThreads, 0,
           stream, loss, shift);
    Launch(PickDigit<T>, heads, kDigits, 0, stream, loss, shift);
  }
}

}  // namespace m3l::cuda
