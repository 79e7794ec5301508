// The arguments of a call from JavaScript. lib/data/native.ts is the only caller and typed: what is
// checked here is what memory safety asks for.
#pragma once

#include <napi.h>

#include <algorithm>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>

namespace m3l::image {

/// A call that this addon's own JavaScript would not make.
class ArgumentError : public std::invalid_argument {
 public:
  using std::invalid_argument::invalid_argument;
};

template <class Value>
constexpr napi_typedarray_type kArrayType = napi_uint8_array;
template <>
inline constexpr napi_typedarray_type kArrayType<uint16_t> = napi_uint16_array;
template <>
inline constexpr napi_typedarray_type kArrayType<int16_t> = napi_int16_array;
template <>
inline constexpr napi_typedarray_type kArrayType<uint32_t> = napi_uint32_array;
template <>
inline constexpr napi_typedarray_type kArrayType<double> = napi_float64_array;
template <>
inline constexpr napi_typedarray_type kArrayType<int32_t> = napi_int32_array;
template <>
inline constexpr napi_typedarray_type kArrayType<float> = napi_float32_array;

class Arguments {
 public:
  explicit Arguments(const Napi::CallbackInfo& info) : info_(info) {}

  /// The next argument as a number.
  double number() {
    const Napi::Value value = next();
    if (!value.IsNumber()) {
      refuse("a number");
    }
    return value.As<Napi::Number>();
  }

  /// The next argument as a whole number that is not negative.
  size_t size() {
    const double value = number();
    if (!(value >= 0 && value <= 1U << 30U)) {
      refuse("a size");
    }
    return static_cast<size_t>(value);
  }

  int32_t integer() {
    const double value = number();
    if (!(value >= INT32_MIN && value <= INT32_MAX)) {
      refuse("a 32-bit integer");
    }
    return static_cast<int32_t>(value);
  }

  bool flag() {
    const Napi::Value value = next();
    if (!value.IsBoolean()) {
      refuse("a boolean");
    }
    return value.As<Napi::Boolean>();
  }

  /// Whether the next argument holds values of this type.
  template <class Value>
  [[nodiscard]] bool holds() const {
    const Napi::Value value = info_[position_];
    return value.IsTypedArray() &&
           value.As<Napi::TypedArray>().TypedArrayType() == kArrayType<Value>;
  }

  /// The next argument as an array of at least `least` values.
  template <class Value>
  std::span<Value> array(size_t least = 0) {
    const bool right = holds<Value>();
    const Napi::Value value = next();
    if (!right) {
      refuse("a typed array of the right kind");
    }
    auto array = value.As<Napi::TypedArrayOf<Value>>();
    if (array.ElementLength() < least) {
      refuse("an array of " + std::to_string(least) + " elements or more");
    }
    return {array.Data(), array.ElementLength()};
  }

  /// The next argument as indices into `size` rows or columns.
  std::span<const int32_t> indices(size_t size) {
    const std::span<const int32_t> view = array<int32_t>();
    const auto inside = [&](int32_t index) {
      return index >= 0 && static_cast<size_t>(index) < size;
    };
    if (!std::ranges::all_of(view, inside)) {
      refuse("indices from 0 to " + std::to_string(size) + " (exclusive)");
    }
    return view;
  }

 private:
  /// `undefined` beyond the last one.
  Napi::Value next() { return info_[position_++]; }

  [[noreturn]] void refuse(const std::string& expected) const {
    throw ArgumentError("argument " + std::to_string(position_) + ": expected " + expected);
  }

  const Napi::CallbackInfo& info_;
  size_t position_ = 0;
};

}  // namespace m3l::image
