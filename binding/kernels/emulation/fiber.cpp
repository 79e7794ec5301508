// The checked longjmp refuses to leave one stack for another.
#undef _FORTIFY_SOURCE
#include "fiber.h"

#include <sys/mman.h>
#include <ucontext.h>

#include <new>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif

namespace m3l::emulation {
namespace {

// A kernel's arrays are registers on a GPU, here they lie on the stack; its first page is a guard.
constexpr std::size_t kStackBytes = 256 << 10;
constexpr std::size_t kGuardBytes = 4096;

Fiber* entering = nullptr;
void (*entered)() = nullptr;

}  // namespace

#ifdef __SANITIZE_ADDRESS__
#define M3L_BEFORE_CHANGE(shadow, stack, size) __sanitizer_start_switch_fiber(shadow, stack, size)
#define M3L_AFTER_CHANGE(shadow, stack, size) __sanitizer_finish_switch_fiber(shadow, stack, size)
#else
#define M3L_BEFORE_CHANGE(shadow, stack, size) static_cast<void>(0)
#define M3L_AFTER_CHANGE(shadow, stack, size) static_cast<void>(0)
#endif

Fiber::Fiber() {
  void* memory = mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  memory_ = static_cast<char*>(memory);
  mprotect(memory_, kGuardBytes, PROT_NONE);
}

Fiber::~Fiber() { munmap(memory_, kStackBytes); }

void Fiber::Enter(void (*entry)()) {
  if (_setjmp(outside_) == 0) {
    M3L_BEFORE_CHANGE(&outer_shadow_, memory_ + kGuardBytes, kStackBytes - kGuardBytes);
    if (started_) _longjmp(inside_, 1);
    started_ = true;
    Start(entry);
  }
  M3L_AFTER_CHANGE(outer_shadow_, nullptr, nullptr);
}

// It never returns, so that nobody would clear the red zones around what lies in its frame.
__attribute__((no_sanitize_address)) void Fiber::Start(void (*entry)()) {
  entering = this;
  entered = entry;
  ucontext_t context;
  getcontext(&context);
  context.uc_stack.ss_sp = memory_ + kGuardBytes;
  context.uc_stack.ss_size = kStackBytes - kGuardBytes;
  context.uc_link = nullptr;
  makecontext(
      &context,
      [] {
        M3L_AFTER_CHANGE(nullptr, &entering->outer_stack_, &entering->outer_size_);
        entered();
      },
      0);
  setcontext(&context);
}

void Fiber::Leave() {
  if (_setjmp(inside_) == 0) {
    M3L_BEFORE_CHANGE(&shadow_, outer_stack_, outer_size_);
    _longjmp(outside_, 1);
  }
  M3L_AFTER_CHANGE(shadow_, &outer_stack_, &outer_size_);
}

void Fiber::Abandon() {
  M3L_BEFORE_CHANGE(nullptr, outer_stack_, outer_size_);
  _longjmp(outside_, 1);
}

}  // namespace m3l::emulation
