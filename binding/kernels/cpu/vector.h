// Plain loops that the compiler turns into vector code, for whatever the processor has.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

// One compiled copy of the function per instruction set, the best chosen when the library loads.
// `flatten` pulls the helpers below into each copy. Not under thread and address sanitizers, whose
// runtime is not up when the choice is made.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define M3L_VECTORISED \
  __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default"), flatten))
#else
#define M3L_VECTORISED
#endif

namespace m3l {

/** Elements of cheap arithmetic that are worth a thread of their own (as in ATen). */
constexpr std::int64_t kGrain = 32768;

/** e^x without branches: relative error below 2e-7; 0 and infinity beyond float's range. */
inline float Exp(float x) {
  constexpr float kLog2E = 1.44269504088896341F;
  constexpr float kLn2High = 0.693359375F;
  constexpr float kLn2Low = -2.12194440e-4F;
  const float clamped = x < -87.3F ? -87.3F : (x > 88.7F ? 88.7F : x);
  const float n = __builtin_floorf(clamped * kLog2E + 0.5F);
  const float r = (clamped - n * kLn2High) - n * kLn2Low;
  float p = 1.9875691500e-4F;
  p = p * r + 1.3981999507e-3F;
  p = p * r + 8.3334519073e-3F;
  p = p * r + 4.1665795894e-2F;
  p = p * r + 1.6666665459e-1F;
  p = p * r + 5.0000001201e-1F;
  p = p * r * r + r + 1.0F;
  const auto exponent = static_cast<std::int32_t>(n);
  // Twice half the exponent: 2^128, which one factor cannot hold, comes out as infinity would.
  const auto half = exponent >> 1;
  const float low = std::bit_cast<float>((half + 127) << 23);
  const float high = std::bit_cast<float>((exponent - half + 127) << 23);
  const float result = p * low * high;
  return x < -87.3F ? 0.0F : (x > 88.7F ? __builtin_huge_valf() : (x != x ? x : result));
}

inline double Exp(double x) { return std::exp(x); }

/** The error function without branches: absolute error below 2e-7, monotone, odd. */
inline float Erf(float x) {
  // Abramowitz and Stegun 7.1.26 is too coarse; a rational minimax of x on [-4, 4] (as in Eigen).
  const float c = x < -3.92F ? -3.92F : (x > 3.92F ? 3.92F : x);
  const float s = c * c;
  float p = -2.72614225801306e-10F;
  p = p * s + 2.77068142495902e-08F;
  p = p * s + -2.10102402082508e-06F;
  p = p * s + -5.69250639462346e-05F;
  p = p * s + -7.34990630326855e-04F;
  p = p * s + -2.95459980854025e-03F;
  p = p * s + -1.60960333262415e-02F;
  float q = -1.45660718464996e-05F;
  q = q * s + -2.13374055278905e-04F;
  q = q * s + -1.68282697438203e-03F;
  q = q * s + -7.37332916720468e-03F;
  q = q * s + -1.42647390514189e-02F;
  const float result = c * p / q;
  return x != x ? x : result;
}

inline double Erf(double x) { return std::erf(x); }

/** GELU, exact form: x · Φ(x). */
template <typename T>
inline T Gelu(T x) {
  return x * T(0.5) * (T(1) + Erf(x * T(0.70710678118654752440)));
}

/** d GELU / dx = Φ(x) + x · φ(x). */
template <typename T>
inline T GeluDerivative(T x) {
  const T cdf = T(0.5) * (T(1) + Erf(x * T(0.70710678118654752440)));
  const T density = T(0.39894228040143267794) * Exp(x * x * T(-0.5));
  return cdf + x * density;
}

}  // namespace m3l
