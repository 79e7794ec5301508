// One call from JavaScript: its arguments with checked conversions, and the guard through which no
// C++ exception passes.
#pragma once

#include <node_api.h>

#include <array>
#include <string>
#include <vector>

#include "environment.h"
#include "errors.h"

namespace m3l {

class Call {
 public:
  Call(napi_env env, napi_callback_info info);

  [[nodiscard]] napi_env env() const { return env_; }
  [[nodiscard]] Environment& state() const { return *state_; }
  [[nodiscard]] size_t count() const { return count_; }
  napi_value operator[](size_t index) const { return index < count_ ? values_[index] : nullptr; }

  /// Absent, undefined or null.
  [[nodiscard]] bool missing(size_t index) const;
  [[nodiscard]] double number(size_t index, const char* what) const;
  [[nodiscard]] int64_t integer(size_t index, const char* what) const;
  [[nodiscard]] bool boolean(size_t index, const char* what) const;
  [[nodiscard]] std::string text(size_t index, const char* what) const;
  [[nodiscard]] Handle handle(size_t index) const;
  /// A handle that is not stale; throws M3L_DISPOSED otherwise.
  [[nodiscard]] Handle live_handle(size_t index) const;
  [[nodiscard]] const at::Tensor& tensor(size_t index) const;
  [[nodiscard]] std::vector<at::Tensor> tensors(size_t index, const char* what) const;
  [[nodiscard]] std::vector<int64_t> integers(size_t index, const char* what) const;

 private:
  static constexpr size_t kInline = 10;
  napi_env env_;
  Environment* state_ = nullptr;
  size_t count_ = kInline;
  std::array<napi_value, kInline> inline_values_;
  std::vector<napi_value> more_values_;
  const napi_value* values_ = nullptr;
};

/// Throws what the failed Node-API call means; call it with every status.
void check(napi_env env, napi_status status, const char* what);

std::string text_of(napi_env env, napi_value value);
/// "string 'abc'", "undefined", "an object": for error messages.
std::string describe(napi_env env, napi_value value);
/// The tensor behind a JavaScript handle; throws M3L_DISPOSED or M3L_ARGUMENT, with `where` in
/// front.
const at::Tensor& tensor_of(Environment& state, napi_value value, const std::string& where);

napi_value to_js(napi_env env, double value);
napi_value to_js(napi_env env, bool value);
napi_value to_js(napi_env env, const std::string& value);
/// A number where it is exact, a BigInt beyond 2^53.
napi_value integer_to_js(napi_env env, int64_t value);
napi_value integers_to_js(napi_env env, c10::IntArrayRef values);
napi_value undefined(napi_env env);
napi_value null_value(napi_env env);
/// A new handle of the tensor in the current scope; null for an undefined tensor.
napi_value tensor_to_js(Environment& state, at::Tensor tensor);

void throw_to_js(napi_env env, Environment* state, const char* code, const std::string& message);
/// Turns the exception being handled into a JavaScript one; `where` names the operator, if any.
void rethrow_to_js(napi_env env, Environment* state, const std::string& where);

using Body = napi_value (*)(Call&);

template <Body body>
napi_value entry(napi_env env, napi_callback_info info) {
  Environment* state = nullptr;
  try {
    Call call(env, info);
    state = &call.state();
    return body(call);
  } catch (...) {
    rethrow_to_js(env, state, "");
  }
  return nullptr;
}

struct Export {
  const char* name;
  napi_callback callback;
};
using Exports = std::vector<Export>;

/// Ends the profile that this environment began, if one runs.
void end_profile_of(const Environment* state);

Exports operator_exports();
Exports scope_exports();
Exports buffer_exports();
Exports tensor_exports();
Exports autograd_exports();
Exports random_exports();
Exports precision_exports();
Exports profiler_exports();
Exports system_exports();

}  // namespace m3l
