#pragma once

#include <setjmp.h>

#include <cstddef>

namespace m3l::emulation {

/**
 * A stack that another runs on, and a place in it. Changing between two is a jump: no system call,
 * no exception passes.
 */
class Fiber {
 public:
  Fiber();
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  /** Goes on where the fiber left, at first with `entry`, which never returns; until it leaves. */
  void Enter(void (*entry)());
  /** Back to who entered. Where the fiber is entered again, this returns. */
  void Leave();
  /** Leaves for good: what is on the stack is forgotten, nothing in it destroyed. */
  [[noreturn]] void Abandon();

 private:
  void Start(void (*entry)());

  char* memory_;
  bool started_ = false;
  jmp_buf inside_;
  jmp_buf outside_;
  // What the address sanitizer is told of a change of stacks.
  void* shadow_ = nullptr;
  void* outer_shadow_ = nullptr;
  const void* outer_stack_ = nullptr;
  std::size_t outer_size_ = 0;
};

}  // namespace m3l::emulation
