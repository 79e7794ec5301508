// What ends a launch besides its own checks: accesses to guard pages, and undefined behaviour,
// which the compiler's checks report by calls of the functions at the end (without its library,
// which would print and go on).
#include "faults.h"

#include <cstdint>
#include <cstdio>
#include <string>

#include "emulator.h"
#include "guarded_memory.h"

namespace m3l::emulation {
namespace {

constexpr std::array<int, 3> kSignals = {SIGSEGV, SIGBUS, SIGFPE};
/** Where the handler runs: the thread's own stack may be what has run out. */
alignas(16) char handler_stack[64 << 10];

void OnSignal(int signal, siginfo_t* info, void*) {
  if (!InThread()) {
    // Not a kernel's fault: as if this handler were not.
    ::signal(signal, SIG_DFL);
    return;
  }
  if (signal == SIGFPE) Fail("an integer is divided by 0");
  const std::string beside = Beside(info->si_addr);
  char address[32];
  std::snprintf(address, sizeof(address), "%p", info->si_addr);
  Fail(beside.empty() ? "an access to " + std::string(address) + ", which is in no buffer"
                      : "an access " + beside);
}

}  // namespace

FaultHandlers::FaultHandlers() {
  stack_t stack{};
  stack.ss_sp = handler_stack;
  stack.ss_size = sizeof(handler_stack);
  sigaltstack(&stack, &stack_before_);
  struct sigaction action{};
  action.sa_sigaction = OnSignal;
  // Not blocked meanwhile: it is left by a jump.
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
  for (std::size_t i = 0; i < kSignals.size(); ++i) sigaction(kSignals[i], &action, &before_[i]);
}

FaultHandlers::~FaultHandlers() {
  for (std::size_t i = 0; i < kSignals.size(); ++i) {
    sigaction(kSignals[i], &before_[i], nullptr);
  }
  if (stack_before_.ss_sp == nullptr) stack_before_.ss_flags = SS_DISABLE;
  sigaltstack(&stack_before_, nullptr);
}

}  // namespace m3l::emulation

// With the address sanitizer its own library has them.
#ifndef __SANITIZE_ADDRESS__
namespace {

/** How the compiler's description of each kind begins. */
struct Described {
  const char* file;
  std::uint32_t line;
  std::uint32_t column;
};

[[noreturn]] void Undefined(const void* description, const char* what) {
  const auto& [file, line, column] = *static_cast<const Described*>(description);
  const std::string path = file == nullptr ? "?" : file;
  m3l::emulation::Fail(std::string(what) + ", at " + path.substr(path.find_last_of('/') + 1) + ":" +
                       std::to_string(line));
}

}  // namespace

extern "C" {
void __ubsan_handle_type_mismatch_v1(void* at, void*) {
  Undefined(at, "an access that is not aligned");
}
void __ubsan_handle_add_overflow(void* at, void*, void*) { Undefined(at, "a sum overflows"); }
void __ubsan_handle_sub_overflow(void* at, void*, void*) {
  Undefined(at, "a difference overflows");
}
void __ubsan_handle_mul_overflow(void* at, void*, void*) { Undefined(at, "a product overflows"); }
void __ubsan_handle_negate_overflow(void* at, void*) { Undefined(at, "a negation overflows"); }
void __ubsan_handle_divrem_overflow(void* at, void*, void*) {
  Undefined(at, "a division by 0, or one that overflows");
}
void __ubsan_handle_shift_out_of_bounds(void* at, void*, void*) {
  Undefined(at, "a shift by as many bits as there are, or more, or fewer than 0");
}
void __ubsan_handle_out_of_bounds(void* at, void*) { Undefined(at, "an index beyond its array"); }
void __ubsan_handle_float_cast_overflow(void* at, void*) {
  Undefined(at, "a number that its integer cannot hold");
}
void __ubsan_handle_load_invalid_value(void* at, void*) {
  Undefined(at, "a value that its type does not have");
}
}
#endif
