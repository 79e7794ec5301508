// Every tensor's memory with guards, so that a kernel that reads or writes beside one is found.
#ifndef __SANITIZE_ADDRESS__
#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>

#include <cstring>

#include "guarded_memory.h"

namespace m3l::emulation {
namespace {

class GuardedAllocator final : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t bytes) override {
    void* const memory = bytes == 0 ? nullptr : AllocateGuarded(bytes);
    return {memory, memory, &Free, c10::Device(c10::DeviceType::CPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &Free; }
  void copy_data(void* to, const void* from, std::size_t bytes) const override {
    std::memcpy(to, from, bytes);
  }

 private:
  static void Free(void* memory) {
    if (memory != nullptr) FreeGuarded(memory);
  }
};

[[maybe_unused]] const bool kInUse = [] {
  // Never destroyed: tensors outlive this library's statics.
  constexpr std::uint8_t kAboveLibtorchs = 200;
  c10::SetCPUAllocator(new GuardedAllocator(), kAboveLibtorchs);
  return true;
}();

}  // namespace
}  // namespace m3l::emulation
#endif
