// Plain loops that the compiler turns into vector code, for whatever the processor has.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <numbers>

// One compiled copy of the function per instruction set, the best chosen when the library loads.
// `flatten` pulls the helpers below into each copy.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define M3L_VECTORISED \
  __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default"), flatten))
#else
#define M3L_VECTORISED
#endif

namespace m3l {

/** Elements of cheap arithmetic that are worth a thread of their own (as in ATen). */
constexpr std::int64_t kGrain = 32768;

/** `x` between `low` and `high`, without branches; NaN stays NaN. */
inline float Clamp(float x, float low, float high) {
  const float raised = x < low ? low : x;
  return raised > high ? high : raised;
}

// ln 2 in two parts, of which n times the first is exact.
constexpr float kLn2High = 0.693359375F;  // NOLINT(modernize-use-std-numbers)
constexpr float kLn2Low = -2.12194440e-4F;

/** e^x without branches: relative error below 2e-7; 0 and infinity beyond float's range. */
inline float Exp(float x) {
  constexpr auto kLog2E = std::numbers::log2e_v<float>;
  const float clamped = Clamp(x, -87.3F, 88.7F);
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
  const auto low = std::bit_cast<float>((half + 127) << 23);
  const auto high = std::bit_cast<float>((exponent - half + 127) << 23);
  const float result = p * low * high;
  const float below = x > 88.7F ? __builtin_huge_valf() : result;
  const float inside = x < -87.3F ? 0.0F : below;
  return x != x ? x : inside;
}

inline double Exp(double x) { return std::exp(x); }

/** e^x for x ≤ 0, in half the work: relative error below 2.5e-7; 4e-38 for all x below -86. */
inline float ExpOfNegative(float x) {
  constexpr auto kLog2E = std::numbers::log2e_v<float>;
  // Adding this leaves the nearest integer in the low bits of the sum.
  constexpr float kRound = 12582912.0F;
  const float clamped = x < -86.0F ? -86.0F : x;
  const float rounded = clamped * kLog2E + kRound;
  const float n = rounded - kRound;
  const float r = (clamped - n * kLn2High) - n * kLn2Low;
  // Least relative error of 1 + r + r²(…) on ±½ ln 2: exactly 1 at 0.
  float p = 8.312501013e-3F;
  p = p * r + 4.189033061e-2F;
  p = p * r + 1.666711569e-1F;
  p = p * r + 4.999923110e-1F;
  p = p * r + 1.0F;
  p = p * r + 1.0F;
  // A product, not a sum of exponents: a NaN stays one.
  return p * std::bit_cast<float>((std::bit_cast<std::uint32_t>(rounded) << 23) + 0x3f800000U);
}

inline double ExpOfNegative(double x) { return std::exp(x); }

/** ln x for normal positive x: relative error below 2e-7 (as in Cephes); NaN gives NaN. */
inline float Log(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  // Mantissa in [√½, √2): the exponent moves up by one where it lies above.
  const auto shifted = bits - 0x3f3504f3U;
  const auto exponent = static_cast<std::int32_t>(shifted) >> 23;
  const float m = std::bit_cast<float>((shifted & 0x007fffffU) + 0x3f3504f3U) - 1.0F;
  const float square = m * m;
  float p = 7.0376836292e-2F;
  p = p * m + -1.1514610310e-1F;
  p = p * m + 1.1676998740e-1F;
  p = p * m + -1.2420140846e-1F;
  p = p * m + 1.4249322787e-1F;
  p = p * m + -1.6668057665e-1F;
  p = p * m + 2.0000714765e-1F;
  p = p * m + -2.4999993993e-1F;
  p = p * m + 3.3333331174e-1F;
  const auto n = static_cast<float>(exponent);
  const float tail = p * m * square + n * kLn2Low - 0.5F * square;
  const float result = m + tail + n * kLn2High;
  return x != x ? x : result;
}

inline double Log(double x) { return std::log(x); }

/** The error function without branches: absolute error below 2e-7, monotone, odd. */
inline float Erf(float x) {
  // Abramowitz and Stegun 7.1.26 is too coarse; a rational minimax of x on [-4, 4] (as in Eigen).
  const float c = Clamp(x, -3.92F, 3.92F);
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
  return x * T(0.5) * (T(1) + Erf(x * (std::numbers::sqrt2_v<T> / 2)));
}

/** d GELU / dx = Φ(x) + x · φ(x). */
template <typename T>
inline T GeluDerivative(T x) {
  const T cdf = T(0.5) * (T(1) + Erf(x * (std::numbers::sqrt2_v<T> / 2)));
  const T density = T(0.39894228040143267794) * Exp(x * x * T(-0.5));
  return cdf + x * density;
}

}  // namespace m3l
