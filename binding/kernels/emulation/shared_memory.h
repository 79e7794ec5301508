#pragma once

#include <cstddef>

namespace m3l::emulation {

/** What a launch may ask for without opting in to more. */
constexpr std::size_t kMostSharedBytes = 48 << 10;

/** Gives the blocks that come `bytes` of dynamic shared memory. */
void PrepareDynamicSharedMemory(std::size_t bytes);

/** Fills a block's shared memory, static and dynamic, with 0xFF: NaN, or −1. */
void PoisonSharedMemory();

}  // namespace m3l::emulation
