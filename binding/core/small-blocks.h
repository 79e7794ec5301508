// The smallest tensors' memory, kept by each thread for its next ones. An aligned block of the heap
// costs as much as all that a small operator computes.
#pragma once

#include <cstddef>

namespace m3l::small_blocks {

/// Larger blocks are not kept.
inline constexpr std::size_t kLargest = 1024;

/// A kept block of this thread, or null.
void* take(std::size_t bytes);
/// What a block for `bytes` is asked for with, so that it serves others of its size later.
std::size_t rounded(std::size_t bytes);
/// Keeps a block of `usable` bytes that the heap gave out; false where it is to be freed.
bool keep(void* block, std::size_t usable);

}  // namespace m3l::small_blocks
