// One way out for every failure: a C++ exception inside, a JavaScript error with a code outside.
#pragma once

#include <napi.h>

#include <exception>
#include <stdexcept>
#include <string>

namespace m3l {

struct Environment;

class CoreError : public std::runtime_error {
 public:
  CoreError(const char* code, const std::string& message)
      : std::runtime_error(message), code_(code) {}
  [[nodiscard]] const char* code() const { return code_; }

 private:
  const char* code_;
};

/// Whether an operator failed for want of memory, on whatever device.
bool is_out_of_memory(const std::exception& error);
bool is_out_of_memory(const std::exception_ptr& exception);

/// A C++ exception as JavaScript's; `where` names the operator, if any.
Napi::Error error_to_js(const Environment& state, const std::exception_ptr& exception,
                        const std::string& where);
/// Throws the C++ exception being handled into JavaScript; `where` names the operator, if any.
void rethrow_to_js(const Environment& state, const std::string& where);

}  // namespace m3l
