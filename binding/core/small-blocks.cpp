#include "small-blocks.h"

#include <c10/core/impl/alloc_cpu.h>

#include <array>
#include <cstdint>
#include <utility>

namespace m3l::small_blocks {

namespace {

/// As libtorch aligns.
constexpr std::size_t kUnit = 64;
constexpr std::size_t kClasses = kLargest / kUnit;
/// Of one thread: what a scope of a thousand small operators gives back at once, many times over.
constexpr std::size_t kMostBytes = 1 << 20;

struct Kept {
  Kept* next;
};

enum class State : uint8_t { kUnused, kInUse, kEnded };

/// Trivially destructible, so that a tensor that outlives a thread's other objects finds it.
struct Thread {
  std::array<Kept*, kClasses> by_class;
  std::size_t bytes;
  State state;
};
thread_local constinit Thread thread{};

/// Gives all back when the thread ends.
struct End {
  End() { thread.state = State::kInUse; }
  End(const End&) = delete;
  End& operator=(const End&) = delete;
  End(End&&) = delete;
  End& operator=(End&&) = delete;
  ~End() {
    thread.state = State::kEnded;
    for (auto*& first : thread.by_class) {
      while (first != nullptr) {
        c10::free_cpu(std::exchange(first, first->next));
      }
    }
  }
};

}  // namespace

void* take(std::size_t bytes) {
  if (bytes == 0 || bytes > kLargest) {
    return nullptr;
  }
  const auto index = (bytes - 1) / kUnit;
  auto& mine = thread;
  auto* block = mine.by_class[index];
  if (block != nullptr) {
    mine.by_class[index] = block->next;
    mine.bytes -= (index + 1) * kUnit;
  }
  return block;
}

std::size_t rounded(std::size_t bytes) {
  return bytes > kLargest ? bytes : (bytes + kUnit - 1) / kUnit * kUnit;
}

bool keep(void* block, std::size_t usable) {
  const auto size = usable / kUnit * kUnit;
  auto& mine = thread;
  if (size == 0 || size > kLargest || mine.bytes + size > kMostBytes ||
      mine.state == State::kEnded) {
    return false;
  }
  if (mine.state == State::kUnused) {
    thread_local const End end;
  }
  auto* kept = static_cast<Kept*>(block);
  auto& first = mine.by_class[(size / kUnit) - 1];
  kept->next = std::exchange(first, kept);
  mine.bytes += size;
  return true;
}

}  // namespace m3l::small_blocks
