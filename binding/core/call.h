// One call from JavaScript: its arguments with checked conversions, its result, and the guard
// through which no C++ exception passes.
#pragma once

#include <napi.h>

#include <string>
#include <type_traits>
#include <vector>

#include "environment.h"
#include "errors.h"

namespace m3l {

class Call {
 public:
  explicit Call(const Napi::CallbackInfo& info)
      : info_(info), state_(*static_cast<Environment*>(info.Data())) {}

  [[nodiscard]] Napi::Env env() const { return info_.Env(); }
  [[nodiscard]] Environment& state() const { return state_; }
  /// `undefined` beyond the last one.
  Napi::Value operator[](size_t index) const { return info_[index]; }

  /// Absent, undefined or null.
  [[nodiscard]] bool missing(size_t index) const;
  [[nodiscard]] double number(size_t index, const char* what) const;
  [[nodiscard]] int64_t integer(size_t index, const char* what) const;
  [[nodiscard]] bool boolean(size_t index, const char* what) const;
  [[nodiscard]] std::string text(size_t index, const char* what) const;
  /// By its name; the current one where that has no index.
  [[nodiscard]] c10::Device device(size_t index) const;
  [[nodiscard]] Handle handle(size_t index) const;
  /// A handle that is not stale; throws M3L_DISPOSED otherwise.
  [[nodiscard]] Handle live_handle(size_t index) const;
  [[nodiscard]] const at::Tensor& tensor(size_t index) const;
  [[nodiscard]] std::vector<at::Tensor> tensors(size_t index, const char* what) const;
  [[nodiscard]] std::vector<int64_t> integers(size_t index, const char* what) const;

 private:
  [[nodiscard]] Napi::Array array(size_t index, const char* what, const char* expected) const;

  const Napi::CallbackInfo& info_;
  Environment& state_;
};

/// "string 'abc'", "undefined", "an object": for error messages.
std::string describe(Napi::Value value);
/// The tensor behind a JavaScript handle; throws M3L_DISPOSED or M3L_ARGUMENT, with `where` in
/// front.
const at::Tensor& tensor_of(Environment& state, napi_value value, const std::string& where);

/// What JavaScript gets: a number where an integer is exact and a BigInt beyond 2^53, an array, a
/// new handle of a tensor in the current scope and null for an undefined one. The handle is
/// negative where the tensor must be tracked alone.
Napi::Value integer_to_js(Napi::Env env, int64_t value);
Napi::Value to_js(Environment& state, at::Tensor tensor);
/// The same, of the handle of an argument that an operator has written; an undefined one stays.
Napi::Value written_to_js(Environment& state, Napi::Value handle);
Napi::Value to_js(Environment& state, c10::IntArrayRef values);
Napi::Value to_js(Environment& state, std::vector<at::Tensor>&& tensors);
Napi::Value to_js(Environment& state, const at::Scalar& scalar);

template <typename Value>
Napi::Value to_js(Environment& state, const Value& value)
  requires std::is_arithmetic_v<Value>
{
  if constexpr (std::is_same_v<Value, bool>) {
    return Napi::Boolean::New(state.env, value);
  } else if constexpr (std::is_integral_v<Value>) {
    return integer_to_js(state.env, static_cast<int64_t>(value));
  } else {
    return Napi::Number::New(state.env, value);
  }
}

inline Napi::Value to_js(Environment& state, const std::string& value) {
  return Napi::String::New(state.env, value);
}

inline Napi::Value to_js(Environment& /*state*/, Napi::Value value) { return value; }

template <auto body>
Napi::Value entry(const Napi::CallbackInfo& info) {
  const Call call(info);
  try {
    if constexpr (std::is_void_v<decltype(body(call))>) {
      body(call);
      return call.env().Undefined();
    } else {
      return to_js(call.state(), body(call));
    }
  } catch (...) {
    rethrow_to_js(call.state(), "");
  }
  return {};
}

/// What the addon's object holds. A function's callback data is the environment.
class Exports {
 public:
  Exports(Environment& state, Napi::Object object) : state_(state), object_(object) {}

  /// `body` takes a `const Call&` and gives nothing, or something that `to_js` takes.
  template <auto body>
  void add(const char* name) {
    object_.Set(name, Napi::Function::New<entry<body>>(state_.env, name, &state_));
  }

  void add(const char* name, napi_callback callback) {
    napi_value function = nullptr;
    if (napi_create_function(state_.env, name, NAPI_AUTO_LENGTH, callback, &state_, &function) !=
        napi_ok) {
      throw Napi::Error::New(state_.env);
    }
    object_.Set(name, function);
  }

 private:
  Environment& state_;
  Napi::Object object_;
};

void export_operators(Exports& exports);
void export_scopes(Exports& exports);
void export_buffers(Exports& exports);
void export_tensors(Exports& exports);
void export_autograd(Exports& exports);
void export_functions(Exports& exports);
void export_random(Exports& exports);
void export_precision(Exports& exports);
void export_profiler(Exports& exports);
void export_system(Exports& exports);
void export_accelerator(Exports& exports);
void export_streams(Exports& exports);
void export_async(Exports& exports);
void export_sharing(Exports& exports);
void export_script(Exports& exports);

}  // namespace m3l
