// The one reader of integers that JavaScript gives.
#pragma once

#include <node_api.h>

#include <cmath>
#include <cstdint>
#include <optional>

namespace m3l {

/// A number without a fraction or a BigInt, of 64 bits; nullopt of all else.
inline std::optional<int64_t> integer_of(napi_env env, napi_value value) {
  double number = 0;
  if (napi_get_value_double(env, value, &number) == napi_ok) {
    // 2^63 is the first that does not fit; the comparison is false of NaN.
    const bool fits = number == std::floor(number) && number >= -0x1p63 && number < 0x1p63;
    return fits ? std::optional(static_cast<int64_t>(number)) : std::nullopt;
  }
  int64_t big = 0;
  bool lossless = false;
  const bool whole = napi_get_value_bigint_int64(env, value, &big, &lossless) == napi_ok;
  return whole && lossless ? std::optional(big) : std::nullopt;
}

}  // namespace m3l
