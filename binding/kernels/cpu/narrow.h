// Conversions of stored elements to those computed in and back, in a form that the compiler turns
// into vector code for bfloat16 too.
#pragma once

#include <c10/util/BFloat16.h>

#include <bit>
#include <cstdint>
#include <type_traits>

namespace m3l::cpu {

template <typename A, typename T>
inline A Widened(T x) {
  if constexpr (std::is_same_v<T, c10::BFloat16>) {
    return std::bit_cast<float>(static_cast<std::uint32_t>(x.x) << 16U);
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
  } else {
    return static_cast<T>(x);
  }
}

}  // namespace m3l::cpu
