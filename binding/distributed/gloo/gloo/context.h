// ProcessGroupGloo.hpp of a libtorch names Gloo's classes, and no wheel brings their headers. Of
// them it calls one method and keeps shared pointers; nothing here is constructed or derived from.
#pragma once

#include <chrono>

namespace gloo {

class Context {
 public:
  void setTimeout(std::chrono::milliseconds timeout);
};

}  // namespace gloo
