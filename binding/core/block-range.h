// Blocks of memory from a reserved range of addresses.
#pragma once

#include <cstddef>
#include <map>
#include <mutex>
#include <set>
#include <unordered_map>
#include <utility>

namespace m3l {

/// Each block lies in the smallest hole that has room, the first of equals. Holes are what was
/// freed, joined with what is free beside them, and the untouched end of the range.
class BlockRange {
 public:
  BlockRange(std::byte* begin, std::size_t size) : begin_(begin), end_(begin + size) {
    insert_hole(begin, size);
  }

  [[nodiscard]] bool holds(const void* pointer) const {
    return pointer >= begin_ && pointer < end_;
  }
  /// A block and its size, a little more than was asked for; null where no hole has room.
  std::pair<void*, std::size_t> take(std::size_t bytes);
  /// Of a block of the range; its size.
  std::size_t give_back(void* pointer);

 private:
  void insert_hole(std::byte* at, std::size_t size);
  void erase_hole(std::byte* at, std::size_t size);
  void note_taken(std::byte* at, std::size_t size);
  void note_freed(std::byte* at, std::size_t size);
  void return_pages();

  std::byte* begin_;
  std::byte* end_;
  std::mutex mutex_;
  std::map<std::byte*, std::size_t> by_address_;
  std::set<std::pair<std::size_t, std::byte*>> by_size_;
  std::unordered_map<std::byte*, std::size_t> taken_;
  /// Parts of holes whose pages were touched and not given back, joined.
  std::map<std::byte*, std::size_t> touched_;
  std::size_t touched_bytes_ = 0;
};

}  // namespace m3l
