#pragma once

#include <signal.h>

#include <array>

namespace m3l::emulation {

/** While it lives, what a thread of a launch does that the processor refuses ends the launch alone.
 */
class FaultHandlers {
 public:
  FaultHandlers();
  ~FaultHandlers();
  FaultHandlers(const FaultHandlers&) = delete;
  FaultHandlers& operator=(const FaultHandlers&) = delete;

 private:
  std::array<struct sigaction, 3> before_{};
  stack_t stack_before_{};
};

}  // namespace m3l::emulation
