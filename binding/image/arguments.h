// The arguments of a call from JavaScript. lib/data/native.ts is the only caller and typed: what is
// checked here is what memory safety asks for.
#pragma once

#include <node_api.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <stdexcept>
#include <string>

namespace m3l::image {

/// A call that this addon's own JavaScript would not make.
class ArgumentError : public std::invalid_argument {
 public:
  using std::invalid_argument::invalid_argument;
};

template <class Value>
struct View {
  Value* data;
  size_t count;
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
  Arguments(napi_env env, napi_callback_info info) : env_(env) {
    napi_get_cb_info(env, info, &count_, values_.data(), nullptr, nullptr);
  }

  /// The next argument as a number.
  double number() {
    const napi_value value = next();
    double number = 0;
    if (napi_get_value_double(env_, value, &number) != napi_ok) {
      refuse("a number");
    }
    return number;
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
    const napi_value value = next();
    bool flag = false;
    if (napi_get_value_bool(env_, value, &flag) != napi_ok) {
      refuse("a boolean");
    }
    return flag;
  }

  /// Whether the next argument holds values of this type.
  template <class Value>
  [[nodiscard]] bool holds() const {
    napi_typedarray_type type = napi_int8_array;
    return position_ < count_ &&
           napi_get_typedarray_info(env_, values_[position_], &type, nullptr, nullptr, nullptr,
                                    nullptr) == napi_ok &&
           type == kArrayType<Value>;
  }

  /// The next argument as an array of at least `least` values.
  template <class Value>
  View<Value> array(size_t least = 0) {
    const bool right = holds<Value>();
    const napi_value value = next();
    void* data = nullptr;
    size_t length = 0;
    if (!right || napi_get_typedarray_info(env_, value, nullptr, &length, &data, nullptr,
                                           nullptr) != napi_ok) {
      refuse("a typed array of the right kind");
    }
    if (length < least) {
      refuse("an array of " + std::to_string(least) + " elements or more");
    }
    return {static_cast<Value*>(data), length};
  }

  /// The next argument as indices into `size` rows or columns.
  View<int32_t> indices(size_t size) {
    const View<int32_t> view = array<int32_t>();
    const auto inside = [&](int32_t index) {
      return index >= 0 && static_cast<size_t>(index) < size;
    };
    if (!std::all_of(view.data, view.data + view.count, inside)) {
      refuse("indices from 0 to " + std::to_string(size) + " (exclusive)");
    }
    return view;
  }

 private:
  napi_value next() { return position_ < count_ ? values_[position_++] : nullptr; }

  [[noreturn]] void refuse(const std::string& expected) const {
    throw ArgumentError("argument " + std::to_string(position_) + ": expected " + expected);
  }

  napi_env env_;
  std::array<napi_value, 16> values_{};
  size_t count_ = values_.size();
  size_t position_ = 0;
};

}  // namespace m3l::image
