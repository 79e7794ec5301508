// Memory for libtorch's tensors on the CPU, all of it counted. Large ones take it from a reserved
// range of addresses, where freed neighbours join whatever small things were made between them. On
// the heap those keep the holes apart, and a training step's peak is a fifth above what it holds.
#include <c10/core/CPUAllocator.h>

#include "bytes-in-use.h"

#if defined(__linux__)
#include <c10/core/impl/alloc_cpu.h>
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <optional>
#include <utility>

#include "block-range.h"
#include "small-blocks.h"

namespace m3l {

/// Not of this file alone: another copy of it, of another m3l in the process, may ask one for its
/// count. A change of its functions changes its name.
class CountingAllocatorV1 : public c10::Allocator {
 public:
  [[nodiscard]] virtual uint64_t bytes_in_use() const = 0;
};

namespace {

/// Smaller blocks stay on the heap.
constexpr std::size_t kSmallest = 64 << 10;

/// As many addresses as the machine has memory: more could not be used.
std::optional<std::pair<std::byte*, std::size_t>> reserve() {
  const auto size = static_cast<std::size_t>(sysconf(_SC_PHYS_PAGES)) *
                    static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  void* begin = mmap(nullptr, size, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (begin == MAP_FAILED) {
    return std::nullopt;
  }
  return std::pair(static_cast<std::byte*>(begin), size);
}

/// Never destroyed, as the allocator: tensors may outlive everything, and other threads ask for
/// memory while the process ends.
BlockRange* range = nullptr;
c10::Allocator* allocator = nullptr;
std::atomic<uint64_t> in_use = 0;

class CpuAllocator final : public CountingAllocatorV1 {
 public:
  c10::DataPtr allocate(std::size_t bytes) override {
    auto [block, size] = bytes < kSmallest ? std::pair(small_blocks::take(bytes), std::size_t{})
                                           : range->take(bytes);
    if (block == nullptr) {
      // which says it where there is no room either
      block = c10::alloc_cpu(small_blocks::rounded(bytes));
    }
    if (size == 0) {
      size = malloc_usable_size(block);
    }
    in_use.fetch_add(size, std::memory_order_relaxed);
    return {block, block, &release, c10::Device(c10::kCPU)};
  }

  [[nodiscard]] c10::DeleterFnPtr raw_deleter() const override { return &release; }

  void copy_data(void* to, const void* from, std::size_t bytes) const override {
    default_copy_data(to, from, bytes);
  }

  [[nodiscard]] uint64_t bytes_in_use() const override {
    return in_use.load(std::memory_order_relaxed);
  }

 private:
  static void release(void* block) {
    if (range->holds(block)) {
      in_use.fetch_sub(range->give_back(block), std::memory_order_relaxed);
      return;
    }
    const auto size = malloc_usable_size(block);
    in_use.fetch_sub(size, std::memory_order_relaxed);
    if (!small_blocks::keep(block, size)) {
      c10::free_cpu(block);
    }
  }
};

/// False where the range cannot be reserved, and where an allocator is in use that is not
/// libtorch's own: another m3l in the process has brought the same.
bool use_cpu_allocator() {
  if (c10::GetCPUAllocator() != c10::GetDefaultCPUAllocator()) {
    return false;
  }
  const auto reserved = reserve();
  if (!reserved.has_value()) {
    return false;
  }
  range = new BlockRange(reserved->first, reserved->second);
  allocator = new CpuAllocator;
  c10::SetCPUAllocator(allocator, /*priority=*/1);
  return true;
}

/// While a file is opened no other is: threads that open two copies at once do not both bring one.
[[maybe_unused]] const bool kInUse = use_cpu_allocator();

}  // namespace

std::optional<uint64_t> cpu_bytes_in_use() {
  const auto* counting = dynamic_cast<const CountingAllocatorV1*>(c10::GetCPUAllocator());
  return counting == nullptr ? std::nullopt : std::optional(counting->bytes_in_use());
}

}  // namespace m3l

#else

namespace m3l {

std::optional<uint64_t> cpu_bytes_in_use() { return std::nullopt; }

}  // namespace m3l

#endif
