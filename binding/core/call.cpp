#include "call.h"

#include <cmath>
#include <exception>
#include <new>
#include <utility>

namespace m3l {

namespace {

constexpr double kExactIntegers = 9007199254740992.0;  // 2^53

/// libtorch's message without the list of every backend's kernels that may follow it.
std::string first_part(const c10::Error& error) {
  const std::string message = error.what_without_backtrace();
  return message.substr(0, message.find("\n\n"));
}

}  // namespace

Call::Call(napi_env env, napi_callback_info info) : env_(env) {
  void* data = nullptr;
  check(env, napi_get_cb_info(env, info, &count_, inline_values_.data(), nullptr, &data), "call");
  state_ = static_cast<Environment*>(data);
  values_ = inline_values_.data();
  if (count_ > kInline) {
    more_values_.resize(count_);
    check(env, napi_get_cb_info(env, info, &count_, more_values_.data(), nullptr, nullptr), "call");
    values_ = more_values_.data();
  }
}

bool Call::missing(size_t index) const {
  if (index >= count_) {
    return true;
  }
  napi_valuetype type = napi_undefined;
  napi_typeof(env_, values_[index], &type);
  return type == napi_undefined || type == napi_null;
}

double Call::number(size_t index, const char* what) const {
  double value = 0;
  if (index >= count_ || napi_get_value_double(env_, values_[index], &value) != napi_ok) {
    throw CoreError("M3L_ARGUMENT", std::string(what) + ": expected a number, found " +
                                        describe(env_, (*this)[index]));
  }
  return value;
}

int64_t Call::integer(size_t index, const char* what) const {
  if (index < count_) {
    int64_t big = 0;
    bool lossless = false;
    if (napi_get_value_bigint_int64(env_, values_[index], &big, &lossless) == napi_ok && lossless) {
      return big;
    }
  }
  const double value = number(index, what);
  if (value != std::floor(value) || std::abs(value) > kExactIntegers) {
    throw CoreError("M3L_ARGUMENT",
                    std::string(what) + ": expected an integer, found " + std::to_string(value));
  }
  return static_cast<int64_t>(value);
}

bool Call::boolean(size_t index, const char* what) const {
  bool value = false;
  if (index >= count_ || napi_get_value_bool(env_, values_[index], &value) != napi_ok) {
    throw CoreError("M3L_ARGUMENT", std::string(what) + ": expected a boolean, found " +
                                        describe(env_, (*this)[index]));
  }
  return value;
}

std::string Call::text(size_t index, const char* what) const {
  napi_valuetype type = napi_undefined;
  if (index < count_) {
    napi_typeof(env_, values_[index], &type);
  }
  if (type != napi_string) {
    throw CoreError("M3L_ARGUMENT", std::string(what) + ": expected a string, found " +
                                        describe(env_, (*this)[index]));
  }
  return text_of(env_, values_[index]);
}

Handle Call::handle(size_t index) const {
  const double value = number(index, "tensor handle");
  return value >= 0 && value < kExactIntegers ? static_cast<Handle>(value) : 0;
}

Handle Call::live_handle(size_t index) const {
  static_cast<void>(tensor(index));
  return handle(index);
}

const at::Tensor& Call::tensor(size_t index) const {
  return tensor_of(*state_, (*this)[index], "");
}

std::vector<at::Tensor> Call::tensors(size_t index, const char* what) const {
  uint32_t length = 0;
  if (index >= count_ || napi_get_array_length(env_, values_[index], &length) != napi_ok) {
    throw CoreError("M3L_ARGUMENT", std::string(what) + ": expected an array of tensors, found " +
                                        describe(env_, (*this)[index]));
  }
  std::vector<at::Tensor> list;
  list.reserve(length);
  for (uint32_t i = 0; i < length; ++i) {
    napi_value element = nullptr;
    check(env_, napi_get_element(env_, values_[index], i, &element), what);
    napi_valuetype type = napi_undefined;
    napi_typeof(env_, element, &type);
    if (type == napi_null || type == napi_undefined) {
      list.emplace_back();
    } else {
      list.push_back(tensor_of(*state_, element, std::string(what) + ": "));
    }
  }
  return list;
}

std::vector<int64_t> Call::integers(size_t index, const char* what) const {
  uint32_t length = 0;
  if (index >= count_ || napi_get_array_length(env_, values_[index], &length) != napi_ok) {
    throw CoreError("M3L_ARGUMENT", std::string(what) + ": expected an array of integers, found " +
                                        describe(env_, (*this)[index]));
  }
  std::vector<int64_t> list(length);
  for (uint32_t i = 0; i < length; ++i) {
    napi_value element = nullptr;
    double value = NAN;
    check(env_, napi_get_element(env_, values_[index], i, &element), what);
    if (napi_get_value_double(env_, element, &value) != napi_ok || value != std::floor(value)) {
      throw CoreError("M3L_ARGUMENT",
                      std::string(what) + ": expected integers, found " + describe(env_, element));
    }
    list[i] = static_cast<int64_t>(value);
  }
  return list;
}

void check(napi_env env, napi_status status, const char* what) {
  if (status == napi_ok) {
    return;
  }
  bool pending = false;
  napi_is_exception_pending(env, &pending);
  if (pending) {
    throw PendingException();
  }
  throw CoreError("M3L_ARGUMENT", std::string(what) + ": Node-API status " +
                                      std::to_string(static_cast<int>(status)));
}

std::string text_of(napi_env env, napi_value value) {
  size_t length = 0;
  check(env, napi_get_value_string_utf8(env, value, nullptr, 0, &length), "string");
  std::string text(length, '\0');
  check(env, napi_get_value_string_utf8(env, value, text.data(), length + 1, &length), "string");
  return text;
}

std::string describe(napi_env env, napi_value value) {
  napi_valuetype type = napi_undefined;
  if (value != nullptr) {
    napi_typeof(env, value, &type);
  }
  switch (type) {
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
    case napi_object: {
      bool array = false;
      napi_is_array(env, value, &array);
      return array ? "an array" : "an object";
    }
    default:
      break;
  }
  napi_value text = nullptr;
  if (napi_coerce_to_string(env, value, &text) != napi_ok) {
    return "an unprintable value";
  }
  std::string description = type == napi_string ? "string '" : "'";
  description.append(text_of(env, text)).append("'");
  return description;
}

const at::Tensor& tensor_of(Environment& state, napi_value value, const std::string& where) {
  double number = 0;
  if (value == nullptr || napi_get_value_double(state.env, value, &number) != napi_ok) {
    throw CoreError("M3L_ARGUMENT",
                    where + "expected a tensor, found " + describe(state.env, value));
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

napi_value to_js(napi_env env, double value) {
  napi_value result = nullptr;
  napi_create_double(env, value, &result);
  return result;
}

napi_value to_js(napi_env env, bool value) {
  napi_value result = nullptr;
  napi_get_boolean(env, value, &result);
  return result;
}

napi_value to_js(napi_env env, const std::string& value) {
  napi_value result = nullptr;
  check(env, napi_create_string_utf8(env, value.data(), value.size(), &result), "string");
  return result;
}

napi_value integer_to_js(napi_env env, int64_t value) {
  napi_value result = nullptr;
  if (std::abs(static_cast<double>(value)) < kExactIntegers) {
    napi_create_int64(env, value, &result);
  } else {
    napi_create_bigint_int64(env, value, &result);
  }
  return result;
}

napi_value integers_to_js(napi_env env, c10::IntArrayRef values) {
  napi_value array = nullptr;
  check(env, napi_create_array_with_length(env, values.size(), &array), "array");
  for (size_t i = 0; i < values.size(); ++i) {
    napi_set_element(env, array, static_cast<uint32_t>(i), integer_to_js(env, values[i]));
  }
  return array;
}

napi_value undefined(napi_env env) {
  napi_value result = nullptr;
  napi_get_undefined(env, &result);
  return result;
}

napi_value null_value(napi_env env) {
  napi_value result = nullptr;
  napi_get_null(env, &result);
  return result;
}

napi_value tensor_to_js(Environment& state, at::Tensor tensor) {
  if (!tensor.defined()) {
    return null_value(state.env);
  }
  return to_js(state.env, static_cast<double>(state.handles.add(std::move(tensor))));
}

void throw_to_js(napi_env env, Environment* state, const char* code, const std::string& message) {
  if (state != nullptr && state->error_class != nullptr) {
    napi_value constructor = nullptr;
    napi_value error = nullptr;
    napi_value arguments[2] = {nullptr, nullptr};
    if (napi_get_reference_value(env, state->error_class, &constructor) == napi_ok &&
        napi_create_string_utf8(env, code, NAPI_AUTO_LENGTH, &arguments[0]) == napi_ok &&
        napi_create_string_utf8(env, message.data(), message.size(), &arguments[1]) == napi_ok &&
        napi_new_instance(env, constructor, 2, arguments, &error) == napi_ok) {
      napi_throw(env, error);
      return;
    }
  }
  napi_throw_error(env, code, message.c_str());
}

void rethrow_to_js(napi_env env, Environment* state, const std::string& where) {
  const std::string prefix = where.empty() ? "" : where + ": ";
  try {
    throw;
  } catch (const PendingException&) {  // NOLINT(bugprone-empty-catch)
    // JavaScript has its exception already.
  } catch (const CoreError& error) {
    throw_to_js(env, state, error.code(), prefix + error.what());
  } catch (const c10::OutOfMemoryError& error) {
    throw_to_js(env, state, "M3L_OUT_OF_MEMORY", prefix + first_part(error));
  } catch (const c10::NotImplementedError& error) {
    throw_to_js(env, state, "M3L_NOT_IMPLEMENTED", prefix + first_part(error));
  } catch (const c10::Error& error) {
    throw_to_js(env, state, "M3L_TORCH", prefix + first_part(error));
  } catch (const std::bad_alloc&) {
    throw_to_js(env, state, "M3L_OUT_OF_MEMORY", prefix + "out of memory");
  } catch (const std::exception& error) {
    throw_to_js(env, state, "M3L_TORCH", prefix + error.what());
  } catch (...) {
    throw_to_js(env, state, "M3L_TORCH", prefix + "an exception of unknown type");
  }
}

}  // namespace m3l
