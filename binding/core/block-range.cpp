#if defined(__linux__)
#include "block-range.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>

namespace m3l {

namespace {

constexpr std::size_t kLine = 64;
/// As malloc's trim threshold: what holes have beyond this much goes back to the kernel.
constexpr std::size_t kKept = 512 << 20;

/// A line more than asked for, so that tensors of a round size do not all begin at the same place
/// of a page, where reads and writes get in each other's way.
std::size_t size_of_block(std::size_t bytes) { return (bytes + 2 * kLine - 1) / kLine * kLine; }

}  // namespace

std::pair<void*, std::size_t> BlockRange::take(std::size_t bytes) {
  const std::size_t size = size_of_block(bytes);
  const std::lock_guard lock(mutex_);
  const auto found = by_size_.lower_bound({size, nullptr});
  if (found == by_size_.end()) {
    return {nullptr, 0};
  }
  const auto [room, block] = *found;
  erase_hole(block, room);
  if (room > size) {
    insert_hole(block + size, room - size);
  }
  taken_.emplace(block, size);
  note_taken(block, size);
  return {block, size};
}

std::size_t BlockRange::give_back(void* pointer) {
  auto* block = static_cast<std::byte*>(pointer);
  const std::lock_guard lock(mutex_);
  const auto found = taken_.find(block);
  const std::size_t freed = found->second;
  std::size_t size = freed;
  taken_.erase(found);
  note_freed(block, size);
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
  return_pages();
  return freed;
}

void BlockRange::insert_hole(std::byte* at, std::size_t size) {
  by_address_.emplace(at, size);
  by_size_.emplace(size, at);
}

void BlockRange::erase_hole(std::byte* at, std::size_t size) {
  by_address_.erase(at);
  by_size_.erase({size, at});
}

void BlockRange::note_taken(std::byte* at, std::size_t size) {
  std::byte* const end = at + size;
  auto part = touched_.lower_bound(at);
  if (part != touched_.begin() && std::prev(part)->first + std::prev(part)->second > at) {
    --part;
  }
  while (part != touched_.end() && part->first < end) {
    const auto [begin, length] = *part;
    std::byte* const rest = begin + length;
    part = touched_.erase(part);
    touched_bytes_ -= length;
    if (begin < at) {
      touched_.emplace(begin, at - begin);
      touched_bytes_ += static_cast<std::size_t>(at - begin);
    }
    if (rest > end) {
      touched_.emplace(end, rest - end);
      touched_bytes_ += static_cast<std::size_t>(rest - end);
    }
  }
}

void BlockRange::note_freed(std::byte* at, std::size_t size) {
  touched_bytes_ += size;
  auto next = touched_.lower_bound(at);
  if (next != touched_.end() && at + size == next->first) {
    size += next->second;
    next = touched_.erase(next);
  }
  if (next != touched_.begin() && std::prev(next)->first + std::prev(next)->second == at) {
    std::prev(next)->second += size;
  } else {
    touched_.emplace(at, size);
  }
}

/// Of the highest addresses first, which the smallest hole with room is the least often.
void BlockRange::return_pages() {
  static const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  while (touched_bytes_ > kKept) {
    const auto last = std::prev(touched_.end());
    const auto [begin, length] = *last;
    const std::size_t excess = std::min(length, touched_bytes_ - kKept);
    // Whole pages: those at the edges may hold a neighbour's values.
    const std::size_t end = static_cast<std::size_t>(begin - begin_) + length;
    const std::size_t first = (end - excess + page - 1) / page * page;
    if (end / page * page > first) {
      madvise(begin_ + first, end / page * page - first, MADV_DONTNEED);
    }
    touched_bytes_ -= excess;
    if (excess == length) {
      touched_.erase(last);
    } else {
      last->second -= excess;
    }
  }
}

}  // namespace m3l

#endif
