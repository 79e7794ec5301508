#include "errors.h"

#include <exception>
#include <new>

#include "../coded-error.h"
#include "environment.h"

namespace m3l {

namespace {

/// libtorch's message without the list of every backend's kernels that may follow it.
std::string first_part(const c10::Error& error) {
  const std::string message = error.what_without_backtrace();
  return message.substr(0, message.find("\n\n"));
}

Napi::Error js_error(const Environment& state, const char* code, const std::string& message) {
  if (state.error_class.IsEmpty()) {
    return coded_error<Napi::Error>(state.env, code, message);
  }
  const Napi::Object error = state.error_class.New(
      {Napi::String::New(state.env, code), Napi::String::New(state.env, message)});
  return {state.env, error};
}

/// The exception being handled, as JavaScript's.
Napi::Error js_error_being_handled(const Environment& state, const std::string& prefix) {
  try {
    throw;
  } catch (const Napi::Error& error) {
    return error;
  } catch (const CoreError& error) {
    return js_error(state, error.code(), prefix + error.what());
  } catch (const c10::OutOfMemoryError& error) {
    return js_error(state, "M3L_OUT_OF_MEMORY", prefix + first_part(error));
  } catch (const c10::NotImplementedError& error) {
    return js_error(state, "M3L_NOT_IMPLEMENTED", prefix + first_part(error));
  } catch (const c10::Error& error) {
    return js_error(state, "M3L_TORCH", prefix + first_part(error));
  } catch (const std::bad_alloc&) {
    return js_error(state, "M3L_OUT_OF_MEMORY", prefix + "out of memory");
  } catch (const std::exception& error) {
    return js_error(state, "M3L_TORCH", prefix + error.what());
  } catch (...) {
    return js_error(state, "M3L_TORCH", prefix + "an exception of unknown type");
  }
}

}  // namespace

void rethrow_to_js(const Environment& state, const std::string& where) {
  try {
    throw js_error_being_handled(state, where.empty() ? "" : where + ": ");
  } catch (const Napi::Error& error) {
    error.ThrowAsJavaScriptException();
  }
}

}  // namespace m3l
