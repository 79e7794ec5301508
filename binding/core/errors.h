// One way out for every failure: a C++ exception inside, a JavaScript error with a code outside.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

namespace m3l {

class CoreError : public std::runtime_error {
 public:
  CoreError(const char* code, const std::string& message)
      : std::runtime_error(message), code_(code) {}
  [[nodiscard]] const char* code() const { return code_; }

 private:
  const char* code_;
};

/// A Node-API call failed with a JavaScript exception pending; unwinding must not replace it.
class PendingException : public std::exception {};

}  // namespace m3l
