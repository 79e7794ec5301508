#include "call.h"

#include <cmath>
#include <utility>

#include "devices.h"
#include "integers.h"

namespace m3l {

namespace {

constexpr double kExactIntegers = 9007199254740992.0;  // 2^53

[[noreturn]] void refuse(const char* what, const std::string& expected, Napi::Value found) {
  throw CoreError("M3L_ARGUMENT",
                  std::string(what) + ": expected " + expected + ", found " + describe(found));
}

}  // namespace

bool Call::missing(size_t index) const {
  const Napi::Value value = info_[index];
  return value.IsUndefined() || value.IsNull();
}

double Call::number(size_t index, const char* what) const {
  const Napi::Value value = info_[index];
  if (!value.IsNumber()) {
    refuse(what, "a number", value);
  }
  return value.As<Napi::Number>();
}

int64_t Call::integer(size_t index, const char* what) const {
  const auto integer = integer_of(info_.Env(), info_[index]);
  if (!integer.has_value()) {
    refuse(what, "an integer of 64 bits", info_[index]);
  }
  return *integer;
}

bool Call::boolean(size_t index, const char* what) const {
  const Napi::Value value = info_[index];
  if (!value.IsBoolean()) {
    refuse(what, "a boolean", value);
  }
  return value.As<Napi::Boolean>();
}

std::string Call::text(size_t index, const char* what) const {
  const Napi::Value value = info_[index];
  if (!value.IsString()) {
    refuse(what, "a string", value);
  }
  return value.As<Napi::String>();
}

c10::Device Call::device(size_t index) const {
  return with_index(device_of(text(index, "device")));
}

Handle Call::handle(size_t index) const {
  const double value = number(index, "tensor handle");
  return value >= 0 && value < kExactIntegers ? static_cast<Handle>(value) : 0;
}

Handle Call::live_handle(size_t index) const {
  static_cast<void>(tensor(index));
  return handle(index);
}

const at::Tensor& Call::tensor(size_t index) const { return tensor_of(state_, info_[index], ""); }

Napi::Array Call::array(size_t index, const char* what, const char* expected) const {
  const Napi::Value value = info_[index];
  if (!value.IsArray()) {
    refuse(what, expected, value);
  }
  return value.As<Napi::Array>();
}

std::vector<at::Tensor> Call::tensors(size_t index, const char* what) const {
  const Napi::Array array = this->array(index, what, "an array of tensors");
  const uint32_t length = array.Length();
  std::vector<at::Tensor> list;
  list.reserve(length);
  for (uint32_t i = 0; i < length; ++i) {
    const Napi::Value element = array.Get(i);
    if (element.IsNull() || element.IsUndefined()) {
      list.emplace_back();
    } else {
      list.push_back(tensor_of(state_, element, std::string(what) + ": "));
    }
  }
  return list;
}

std::vector<int64_t> Call::integers(size_t index, const char* what) const {
  const Napi::Array array = this->array(index, what, "an array of integers");
  std::vector<int64_t> list(array.Length());
  for (uint32_t i = 0; i < list.size(); ++i) {
    const Napi::Value element = array.Get(i);
    const auto integer = integer_of(info_.Env(), element);
    if (!integer.has_value()) {
      refuse(what, "integers of 64 bits", element);
    }
    list[i] = *integer;
  }
  return list;
}

std::string describe(Napi::Value value) {
  switch (value.Type()) {
    case napi_undefined:
      return "undefined";
    case napi_null:
      return "null";
    case napi_symbol:
      return "a symbol";
    case napi_function:
      return "a function";
    case napi_external:
      return "a generator";
    case napi_object:
      return value.IsArray() ? "an array" : "an object";
    default:
      break;
  }
  std::string description = value.IsString() ? "string '" : "'";
  description.append(value.ToString().Utf8Value()).append("'");
  return description;
}

const at::Tensor& tensor_of(Environment& state, napi_value value, const std::string& where) {
  double number = 0;
  if (napi_get_value_double(state.env, value, &number) != napi_ok) {
    throw CoreError("M3L_ARGUMENT",
                    where + "expected a tensor, found " + describe({state.env, value}));
  }
  const at::Tensor* tensor = number > 0 && number < kExactIntegers
                                 ? state.handles.find(static_cast<Handle>(number))
                                 : nullptr;
  if (tensor == nullptr) {
    throw CoreError("M3L_DISPOSED",
                    where +
                        "the tensor is disposed: its scope has ended or dispose() was called; "
                        "return it from the scope or keep() it");
  }
  return *tensor;
}

Napi::Value integer_to_js(Napi::Env env, int64_t value) {
  if (std::abs(static_cast<double>(value)) < kExactIntegers) {
    return Napi::Number::New(env, static_cast<double>(value));
  }
  return Napi::BigInt::New(env, value);
}

Napi::Value to_js(Environment& state, at::Tensor tensor) {
  if (!tensor.defined()) {
    return state.env.Null();
  }
  const bool alone = state.tracker.wants_own(tensor);
  const auto handle = static_cast<double>(state.handles.add(std::move(tensor)));
  return Napi::Number::New(state.env, alone ? -handle : handle);
}

Napi::Value written_to_js(Environment& state, Napi::Value handle) {
  double number = 0;
  if (state.handles.current_scope() != 0 ||
      napi_get_value_double(state.env, handle, &number) != napi_ok ||
      !state.tracker.has_outgrown(static_cast<Handle>(number))) {
    return handle;
  }
  return Napi::Number::New(state.env, -number);
}

Napi::Value to_js(Environment& state, c10::IntArrayRef values) {
  const Napi::Array array = Napi::Array::New(state.env, values.size());
  for (uint32_t i = 0; i < values.size(); ++i) {
    array.Set(i, integer_to_js(state.env, values[i]));
  }
  return array;
}

Napi::Value to_js(Environment& state, std::vector<at::Tensor>&& tensors) {
  const Napi::Array array = Napi::Array::New(state.env, tensors.size());
  for (uint32_t i = 0; i < tensors.size(); ++i) {
    array.Set(i, to_js(state, std::move(tensors[i])));
  }
  return array;
}

Napi::Value to_js(Environment& state, const at::Scalar& scalar) {
  if (scalar.isBoolean()) {
    return to_js(state, scalar.toBool());
  }
  if (scalar.isIntegral(false)) {
    return to_js(state, scalar.toLong());
  }
  return to_js(state, scalar.toDouble());
}

}  // namespace m3l
