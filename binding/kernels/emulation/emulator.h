// CUDA's execution model on the CPU, to prove kernels where there is no GPU: each thread of a block
// is a fiber, the blocks come one after the other. What a GPU leaves undefined, or a test would see
// by luck alone, is an error here: std::runtime_error from the launch, which names the kernel's
// launch, the block and the thread.
//
// Modelled: barriers, exchanges within a warp and their masks, shared memory (poisoned for each
// block), the limits of a launch, the order of threads (M3L_EMULATED_ORDER: forward, reverse,
// shuffled, or mixed, the default; M3L_EMULATED_SEED). Not modelled: time, streams, threads that
// advance at once, hence races of atomics, and the rounding of fused and of approximate arithmetic.
#pragma once

#include <cstddef>
#include <cstdint>
#include <source_location>
#include <string>

#include "vector_types.h"

namespace m3l::emulation {

struct Grid {
  dim3 grid;
  dim3 block;
  /** Bytes of dynamic shared memory. */
  std::size_t shared = 0;
  std::source_location where;
};

/** A reference to what one thread computes. */
class ThreadBody {
 public:
  template <typename Body>
  ThreadBody(const Body& body)
      : body_(&body), call_([](const void* given) { (*static_cast<const Body*>(given))(); }) {}
  void operator()() const { call_(body_); }

 private:
  const void* body_;
  void (*call_)(const void*);
};

/** Runs `body` for every thread. Launches of several host threads come one after the other. */
void Run(const Grid& grid, ThreadBody body);

/** Ends the launch under way with `message`; called by what a thread calls. */
[[noreturn]] void Fail(const std::string& message);

/** Whether the caller is a thread of a launch. */
bool InThread();

/** The block's memory, of as many bytes as the launch gave. */
void* DynamicSharedMemory();

/** Waits until all threads of the block that have not ended are at this line. */
void Barrier(std::source_location where);

enum class Exchange : std::uint8_t { kSync, kShuffle, kMatch };

/**
 * Waits until all lanes of `mask` ask for the same. kShuffle gives the value of lane `source`,
 * kMatch the lanes whose value is this one's.
 */
std::uint64_t ExchangeInWarp(Exchange kind, unsigned mask, std::uint64_t value, int source,
                             std::source_location where);

/** Of the thread that asks. */
int Lane();

}  // namespace m3l::emulation
