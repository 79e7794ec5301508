// Conversions of stored elements to those computed in and back, in a form that the compiler turns
// into vector code for bfloat16 and half too.
#pragma once

#include <c10/util/BFloat16.h>
#include <c10/util/Half.h>

#include <bit>
#include <cstdint>
#include <type_traits>

namespace m3l::cpu {

/** Of a half's bits; no step makes a float's subnormal, which a processor may be told to flush. */
inline float WidenedHalf(std::uint32_t half) {
  const std::uint32_t sign = (half & 0x8000U) << 16U;
  const std::uint32_t magnitude = half & 0x7fffU;
  // The exponent's bias is 112 less; of infinity and NaN it stays the largest.
  const float normal = std::bit_cast<float>((magnitude << 13U) + (0xe0U << 23U)) * 0x1p-112F;
  // A subnormal's bits are the last of a float from 0.5 on.
  const float subnormal = std::bit_cast<float>(magnitude | (126U << 23U)) - 0.5F;
  const float value = magnitude < 0x400U ? subnormal : normal;
  return std::bit_cast<float>(std::bit_cast<std::uint32_t>(value) | sign);
}

inline std::uint32_t NarrowedHalf(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const std::uint32_t magnitude = bits & 0x7fffffffU;
  // Half of the last place that is kept, less one where that place is even; the carry may make an
  // infinity.
  const std::uint32_t normal =
      (magnitude - (112U << 23U) + 0xfffU + ((magnitude >> 13U) & 1U)) >> 13U;
  // The sum with 0.5 is rounded to a half's subnormals.
  const std::uint32_t subnormal =
      std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude) + 0.5F) - (126U << 23U);
  const std::uint32_t beyond = magnitude > 0x7f800000U ? 0x7e00U : 0x7c00U;
  const std::uint32_t finite = magnitude < 0x38800000U ? subnormal : normal;
  return (magnitude < 0x47800000U ? finite : beyond) | (bits >> 16U & 0x8000U);
}

template <typename A, typename T>
inline A Widened(T x) {
  if constexpr (std::is_same_v<T, c10::BFloat16>) {
    return std::bit_cast<float>(static_cast<std::uint32_t>(x.x) << 16U);
  } else if constexpr (std::is_same_v<T, c10::Half>) {
    return WidenedHalf(x.x);
  } else {
    return static_cast<A>(x);
  }
}

/** Rounds to the nearest, ties to even; a NaN stays one. */
template <typename T, typename A>
inline T Narrowed(A x) {
  if constexpr (std::is_same_v<T, c10::BFloat16>) {
    const auto bits = std::bit_cast<std::uint32_t>(x);
    const std::uint32_t rounded = (bits + 0x7fffU + ((bits >> 16U) & 1U)) >> 16U;
    return {static_cast<std::uint16_t>(x != x ? 0x7fc0U : rounded), c10::BFloat16::from_bits()};
  } else if constexpr (std::is_same_v<T, c10::Half>) {
    return {static_cast<std::uint16_t>(NarrowedHalf(x)), c10::Half::from_bits()};
  } else {
    return static_cast<T>(x);
  }
}

}  // namespace m3l::cpu
