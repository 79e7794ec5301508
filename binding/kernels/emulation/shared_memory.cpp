// `__shared__` variables are thread_local: all of them are in this library's block of thread-local
// memory, which can be found and filled without knowing their names. Nothing else may be in it that
// minds; libtorch's headers leave a flag there, that the thread's number of threads was set.
#include "shared_memory.h"

#include <link.h>

#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <thread>

#include "emulator.h"
#include "guarded_memory.h"

namespace m3l::emulation {
namespace {

struct Span {
  void* start = nullptr;
  std::size_t bytes = 0;
};

/** Makes sure that there is such a block. */
thread_local volatile char anchor;

/** The thread-local memory of the library that this function is in, of the calling thread. */
Span FindStaticSharedMemory() {
  anchor = 0;
  Span span;
  dl_iterate_phdr(
      [](dl_phdr_info* info, std::size_t, void* given) {
        const auto here = reinterpret_cast<std::uintptr_t>(&PoisonSharedMemory);
        bool mine = false;
        std::size_t bytes = 0;
        for (int i = 0; i < info->dlpi_phnum; ++i) {
          const auto& part = info->dlpi_phdr[i];
          const auto start = info->dlpi_addr + part.p_vaddr;
          mine = mine || (part.p_type == PT_LOAD && here >= start && here < start + part.p_memsz);
          if (part.p_type == PT_TLS) bytes = part.p_memsz;
        }
        if (mine) *static_cast<Span*>(given) = {info->dlpi_tls_data, bytes};
        return mine ? 1 : 0;
      },
      &span);
  if (span.start == nullptr) {
    throw std::runtime_error(
        "emulated CUDA: the shared memory was not found, expected it where this library's "
        "thread-local variables are");
  }
  return span;
}

Span StaticSharedMemory() {
  static std::thread::id asked;
  static Span found;
  if (asked != std::this_thread::get_id()) {
    found = FindStaticSharedMemory();
    asked = std::this_thread::get_id();
  }
  return found;
}

Span dynamic;

}  // namespace

void PrepareDynamicSharedMemory(std::size_t bytes) {
  if (bytes == dynamic.bytes) return;
  if (dynamic.start != nullptr) FreeGuarded(dynamic.start);
  dynamic = {bytes > 0 ? AllocateGuarded(bytes) : nullptr, bytes};
}

void PoisonSharedMemory() {
  const Span span = StaticSharedMemory();
  std::memset(span.start, kPoison, span.bytes);
  if (dynamic.bytes > 0) std::memset(dynamic.start, kPoison, dynamic.bytes);
}

void* DynamicSharedMemory() { return dynamic.start; }

}  // namespace m3l::emulation
