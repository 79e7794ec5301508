#pragma once

#include <cstddef>
#include <string>

namespace m3l::emulation {

/** What memory is filled with before it is written. */
constexpr int kPoison = 0xFF;

/**
 * Memory that ends (its size rounded up to 16, to which it is aligned as the GPU's is at least) at
 * a page that nobody may touch, and has another one before it; poisoned.
 */
void* AllocateGuarded(std::size_t bytes);
void FreeGuarded(void* memory);

/** Throws std::runtime_error where something wrote beside a buffer, but short of its guards. */
void CheckGuardedMemory();

/** "12 bytes behind a buffer of 400", or "" where no buffer is near. */
std::string Beside(const void* address);

}  // namespace m3l::emulation
