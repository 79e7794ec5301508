#include "errors.h"

#include <exception>
#include <map>
#include <new>
#include <regex>
#include <string>

#include "../coded-error.h"
#include "callback.h"
#include "memory-retry.h"

namespace m3l {

namespace {

/// Python's `retain_graph=True` as an option is written here: `retainGraph: true`.
std::string in_typescript(const std::string& text) {
  static const std::regex option(R"(\b([a-z]+(?:_[a-z]+)*)=(True|False|None)\b)");
  static const std::map<std::string, std::string> values = {
      {"True", "true"}, {"False", "false"}, {"None", "null"}};
  std::string result;
  auto rest = text.cbegin();
  for (std::sregex_iterator found(text.begin(), text.end(), option), end; found != end; ++found) {
    result.append(rest, (*found)[0].first);
    bool upper = false;
    for (const char letter : (*found)[1].str()) {
      if (letter != '_') {
        result += upper ? static_cast<char>(letter - 'a' + 'A') : letter;
      }
      upper = letter == '_';
    }
    result += ": " + values.at((*found)[2]);
    rest = (*found)[0].second;
  }
  return result.append(rest, text.cend());
}

/// libtorch's message without the list of every backend's kernels that may follow it.
std::string first_part(const c10::Error& error) {
  const std::string message = error.what_without_backtrace();
  return in_typescript(message.substr(0, message.find("\n\n")));
}

Napi::Error js_error(const Environment& state, const char* code, const std::string& message) {
  if (state.error_class.IsEmpty()) {
    return coded_error<Napi::Error>(state.env, code, message);
  }
  const Napi::Object error = state.error_class.New(
      {Napi::String::New(state.env, code), Napi::String::New(state.env, message)});
  return {state.env, error};
}

/// What libtorch says, and where memory is wanting what of it is in use.
Napi::Error js_error_of_torch(const Environment& state, const std::exception& error,
                              const std::string& message) {
  if (!is_out_of_memory(error)) {
    return js_error(state, "M3L_TORCH", message);
  }
  return js_error(state, "M3L_OUT_OF_MEMORY",
                  message + "; " + memory_in_use() +
                      ". Dispose of tensors that are not needed, or take less at once");
}

/// The exception being handled, as JavaScript's.
Napi::Error js_error_being_handled(const Environment& state, const std::string& prefix) {
  try {
    throw;
  } catch (const Napi::Error& error) {
    return error;
  } catch (const JsError& error) {
    return error.error();
  } catch (const CoreError& error) {
    return js_error(state, error.code(), prefix + error.what());
  } catch (const c10::NotImplementedError& error) {
    return js_error(state, "M3L_NOT_IMPLEMENTED", prefix + first_part(error));
  } catch (const c10::Error& error) {
    return js_error_of_torch(state, error, prefix + first_part(error));
  } catch (const std::bad_alloc& error) {
    return js_error_of_torch(state, error, prefix + "out of memory");
  } catch (const std::exception& error) {
    return js_error_of_torch(state, error, prefix + error.what());
  } catch (...) {
    return js_error(state, "M3L_TORCH", prefix + "an exception of unknown type");
  }
}

}  // namespace

bool is_out_of_memory(const std::exception& error) {
  if (dynamic_cast<const c10::OutOfMemoryError*>(&error) != nullptr ||
      dynamic_cast<const std::bad_alloc*>(&error) != nullptr ||
      dynamic_cast<const std::length_error*>(&error) != nullptr) {
    return true;
  }
  // The CPU's allocator has no class of its own for it.
  const auto* of_torch = dynamic_cast<const c10::Error*>(&error);
  const std::string message =
      of_torch != nullptr ? of_torch->what_without_backtrace() : error.what();
  return message.find("not enough memory") != std::string::npos ||
         message.find("can't allocate memory") != std::string::npos;
}

bool is_out_of_memory(const std::exception_ptr& exception) {
  try {
    std::rethrow_exception(exception);
  } catch (const std::exception& error) {
    return is_out_of_memory(error);
  } catch (...) {
    return false;
  }
}

Napi::Error error_to_js(const Environment& state, const std::exception_ptr& exception,
                        const std::string& where) {
  try {
    std::rethrow_exception(exception);
  } catch (...) {
    return js_error_being_handled(state, where.empty() ? "" : where + ": ");
  }
}

void rethrow_to_js(const Environment& state, const std::string& where) {
  try {
    throw js_error_being_handled(state, where.empty() ? "" : where + ": ");
  } catch (const Napi::Error& error) {
    error.ThrowAsJavaScriptException();
  }
}

}  // namespace m3l
