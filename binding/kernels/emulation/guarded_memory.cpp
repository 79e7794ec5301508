#include "guarded_memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <new>
#include <stdexcept>

namespace m3l::emulation {
namespace {

constexpr std::size_t kAlignment = 16;
/** What nobody may touch on either side of a buffer's pages; a multiple of every page size. */
constexpr std::size_t kGuardBytes = 64 << 10;
/** Bytes in front of a buffer that are looked at after each launch. */
constexpr std::size_t kFront = 64;

struct Buffer {
  char* pages;
  std::size_t page_bytes;
  std::size_t bytes;
};

// Never destroyed: tensors may outlive this library's statics.
std::mutex& Mutex() {
  static auto* mutex = new std::mutex();
  return *mutex;
}
std::map<char*, Buffer>& Buffers() {
  static auto* buffers = new std::map<char*, Buffer>();
  return *buffers;
}

std::size_t RoundUp(std::size_t bytes, std::size_t to) { return (bytes + to - 1) / to * to; }

bool Untouched(const char* from, const char* to) {
  return std::all_of(from, to, [](char byte) { return byte == static_cast<char>(kPoison); });
}

/** What was written beside a buffer, or "". */
std::string Fault(const char* start, const Buffer& buffer) {
  const std::string of = " a buffer of " + std::to_string(buffer.bytes) + " bytes was written to";
  const char* end = start + buffer.bytes;
  if (!Untouched(end, start + RoundUp(buffer.bytes, kAlignment))) return "behind" + of;
  const char* first = buffer.pages + kGuardBytes;
  const char* front = start - first > static_cast<std::ptrdiff_t>(kFront) ? start - kFront : first;
  return Untouched(front, start) ? "" : "in front of" + of;
}

}  // namespace

void* AllocateGuarded(std::size_t bytes) {
  const auto page = static_cast<std::size_t>(getpagesize());
  const std::size_t body = RoundUp(std::max<std::size_t>(bytes, 1), page);
  const std::size_t all = body + 2 * kGuardBytes;
  void* mapped = mmap(nullptr, all, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) throw std::bad_alloc();
  char* const pages = static_cast<char*>(mapped);
  char* const first = pages + kGuardBytes;
  std::memset(first, kPoison, body);
  mprotect(pages, kGuardBytes, PROT_NONE);
  mprotect(first + body, kGuardBytes, PROT_NONE);
  char* const start = first + body - RoundUp(bytes, kAlignment);
  const std::lock_guard<std::mutex> lock(Mutex());
  Buffers()[start] = {pages, all, bytes};
  return start;
}

void FreeGuarded(void* memory) {
  std::unique_lock<std::mutex> lock(Mutex());
  const auto found = Buffers().find(static_cast<char*>(memory));
  const std::string fault = Fault(found->first, found->second);
  const Buffer buffer = found->second;
  Buffers().erase(found);
  lock.unlock();
  munmap(buffer.pages, buffer.page_bytes);
  if (fault.empty()) return;
  // Whoever frees memory expects no error.
  std::fprintf(stderr, "emulated CUDA: %s\n", fault.c_str());
  std::abort();
}

void CheckGuardedMemory() {
  const std::lock_guard<std::mutex> lock(Mutex());
  std::string first;
  for (auto& [start, buffer] : Buffers()) {
    const std::string fault = Fault(start, buffer);
    if (fault.empty()) continue;
    if (first.empty()) first = fault;
    // Said once.
    std::memset(start + buffer.bytes, kPoison, RoundUp(buffer.bytes, kAlignment) - buffer.bytes);
    char* const pages = buffer.pages + kGuardBytes;
    std::memset(pages, kPoison, static_cast<std::size_t>(start - pages));
  }
  if (!first.empty()) throw std::runtime_error("emulated CUDA: " + first);
}

std::string Beside(const void* address) {
  const auto* const at = static_cast<const char*>(address);
  const std::unique_lock<std::mutex> lock(Mutex(), std::try_to_lock);
  if (!lock.owns_lock()) return "";
  for (const auto& [start, buffer] : Buffers()) {
    if (at < buffer.pages || at >= buffer.pages + buffer.page_bytes) continue;
    const std::string of = " a buffer of " + std::to_string(buffer.bytes);
    if (at < start) return std::to_string(start - at) + " bytes in front of" + of;
    return std::to_string(at - (start + buffer.bytes)) + " bytes behind" + of;
  }
  return "";
}

}  // namespace m3l::emulation
