// Memory for libtorch's tensors on the CPU: large ones take it from a reserved range of addresses,
// where freed neighbours join whatever small things were made between them. On the heap those keep
// the holes apart, and a training step's peak is a fifth above what it holds.
#if defined(__linux__)
#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/alloc_cpu.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>

namespace m3l {

namespace {

/// Smaller blocks stay on the heap.
constexpr std::size_t kSmallest = 64 << 10;
constexpr std::size_t kLine = 64;
/// As malloc's trim threshold: pages free beyond this much at the end go back to the kernel.
constexpr std::size_t kKept = 512 << 20;

/// A line more than asked for, so that tensors of a round size do not all begin at the same place
/// of a page, where reads and writes get in each other's way.
std::size_t size_of_block(std::size_t bytes) { return (bytes + 2 * kLine - 1) / kLine * kLine; }

/// Blocks of a reserved range: each in the smallest hole that has room, the first of equals. Holes
/// are what was freed, joined with what is free beside them, and the untouched end of the range.
class Range {
 public:
  Range(std::byte* begin, std::size_t size) : begin_(begin), end_(begin + size) {
    insert_hole(begin, size);
  }

  /// null where no hole has room.
  void* take(std::size_t bytes) {
    const std::size_t size = size_of_block(bytes);
    const std::lock_guard lock(mutex_);
    const auto found = by_size_.lower_bound({size, nullptr});
    if (found == by_size_.end()) {
      return nullptr;
    }
    const auto [room, block] = *found;
    erase_hole(block, room);
    if (room > size) {
      insert_hole(block + size, room - size);
    }
    taken_.emplace(block, size);
    touched_ = std::max(touched_, block + size);
    return block;
  }

  /// False where the block is not of this range.
  bool give_back(void* pointer) {
    auto* block = static_cast<std::byte*>(pointer);
    if (block < begin_ || block >= end_) {
      return false;
    }
    const std::lock_guard lock(mutex_);
    const auto found = taken_.find(block);
    std::size_t size = found->second;
    taken_.erase(found);
    auto next = by_address_.lower_bound(block);
    if (next != by_address_.begin()) {
      const auto [before, room] = *std::prev(next);
      if (before + room == block) {
        erase_hole(before, room);
        block = before;
        size += room;
      }
    }
    next = by_address_.lower_bound(block);
    if (next != by_address_.end() && block + size == next->first) {
      const auto [after, room] = *next;
      erase_hole(after, room);
      size += room;
    }
    insert_hole(block, size);
    trim(block, size);
    return true;
  }

 private:
  void insert_hole(std::byte* at, std::size_t size) {
    by_address_.emplace(at, size);
    by_size_.emplace(size, at);
  }

  void erase_hole(std::byte* at, std::size_t size) {
    by_address_.erase(at);
    by_size_.erase({size, at});
  }

  /// The last hole's touched pages beyond those kept go back.
  void trim(std::byte* hole, std::size_t size) {
    if (hole + size != end_ || touched_ <= hole + kKept) {
      return;
    }
    static const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    const auto used = static_cast<std::size_t>(hole + kKept - begin_);
    auto* first = begin_ + (used + page - 1) / page * page;
    madvise(first, static_cast<std::size_t>(touched_ - first), MADV_DONTNEED);
    touched_ = first;
  }

  std::byte* begin_;
  std::byte* end_;
  /// Nothing behind it was ever handed out, or its pages were given back.
  std::byte* touched_ = begin_;
  std::mutex mutex_;
  std::map<std::byte*, std::size_t> by_address_;
  std::set<std::pair<std::size_t, std::byte*>> by_size_;
  std::unordered_map<std::byte*, std::size_t> taken_;
};

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
Range* range = nullptr;

class LargeBlockAllocator final : public c10::Allocator {
 public:
  c10::DataPtr allocate(std::size_t bytes) override {
    void* block = bytes < kSmallest ? nullptr : range->take(bytes);
    if (block == nullptr) {
      block = c10::alloc_cpu(bytes);  // which says it where there is no room either
    }
    return {block, block, &release, c10::Device(c10::kCPU)};
  }

  [[nodiscard]] c10::DeleterFnPtr raw_deleter() const override { return &release; }

  void copy_data(void* to, const void* from, std::size_t bytes) const override {
    default_copy_data(to, from, bytes);
  }

 private:
  static void release(void* block) {
    if (!range->give_back(block)) {
      c10::free_cpu(block);
    }
  }
};

/// False where the range cannot be reserved, and where an allocator is in use that is not
/// libtorch's own: another copy of this file, of another m3l in the process, has brought the same.
bool use_large_block_allocator() {
  if (c10::GetCPUAllocator() != c10::GetDefaultCPUAllocator()) {
    return false;
  }
  const auto reserved = reserve();
  if (!reserved.has_value()) {
    return false;
  }
  range = new Range(reserved->first, reserved->second);
  c10::SetCPUAllocator(new LargeBlockAllocator, /*priority=*/1);
  return true;
}

/// While a file is opened no other is: threads that open two copies at once do not both bring one.
[[maybe_unused]] const bool kInUse = use_large_block_allocator();

}  // namespace

}  // namespace m3l

#endif
