// GELU v · Φ(v) and its slope Φ(v) + v · φ(v), with Φ and φ of the standard normal distribution.
#pragma once

#include "element.cuh"
#include "launch.cuh"

namespace m3l::cuda {

/**
 * Φ(−a) as 2 to a polynomial of a: erff takes three times the instructions, which then and not
 * memory would be the bound. Minimax to what T can show, PowerOf2's own error left out: of Φ 7e-8
 * and of GELU 5e-8 for float; for half types 5e-7 and 2e-7, and of a GELU beyond 1e-3 relative
 * 2e-5, where their rounding is up to 5e-4 (bfloat16: 4e-3).
 */
template <typename T>
__device__ __forceinline__ float Tail(float a) {
  float power = 0;
  const auto terms = [&](auto... terms) { ((power = power * a + terms), ...); };
  if constexpr (sizeof(T) == 4) {
    terms(-2.23509877e-6F, 3.22282519e-5F, -1.52439762e-4F, -2.17698763e-4F, 0.00716770091F,
          -0.0525673938F, -0.459184894F, -1.15110806F, -0.999999935F);
  } else {
    terms(3.271236e-5F, -7.62043291e-4F, 0.0080406002F, -0.0533170156F, -0.458872687F, -1.15115704F,
          -0.99999869F);
  }
  return PowerOf2(power);
}

/** Where the tail is 0, whatever T; what is farther is brought here, so that 0 · ∞ does not arise.
 */
constexpr float kFarthest = 16.0F;

/** GELU(v), and its slope where it is asked for. */
template <typename T>
__device__ __forceinline__ ComputesIn<T> Gelu(ComputesIn<T> v, ComputesIn<T>* slope = nullptr) {
  if constexpr (sizeof(T) == 8) {
    const double cdf = 0.5 * (1.0 + erf(v * 0.70710678118654752440));
    if (slope) *slope = cdf + v * (0.39894228040143267794 * exp(-0.5 * v * v));
    return v * cdf;
  } else {
    const float a = LeastOrNan(fabsf(v), kFarthest);
    const float tail = Tail<T>(a);
    if (slope) {
      // log2 of φ: −a² / (2 ln 2) − log2 √(2π).
      const float density = PowerOf2(a * a * -0.72134752F - 1.3257481F);
      *slope = 0.5F + copysignf(0.5F - tail + a * density, v);
    }
    // A NaN is in the tail.
    return max(v, 0.0F) - a * tail;
  }
}

}  // namespace m3l::cuda
