// Lists of tensors in one launch: a table of their pointers passed as the kernel's argument, which
// the constant cache serves. Blocks take chunks of the row that all tensors make together.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "element.cuh"
#include "launch.cuh"

namespace m3l::cuda {

constexpr int kThreads = 256;
/** Vectors of 16 bytes that a thread takes of a chunk. */
constexpr int kVectorsPerThread = 4;

template <typename T>
constexpr int kChunk = kThreads * kVectorsPerThread * kVector<T>;

template <typename T>
struct alignas(16) Vector {
  T values[kVector<T>];
};

/** `Entry` has the tensor's `size`. Kept well below the 32,764 bytes that a kernel may be passed.
 */
template <typename Entry>
struct Table {
  static constexpr int kCapacity = 24576 / static_cast<int>(sizeof(Entry) + sizeof(int));
  int count = 0;
  /** Chunks up to and with each tensor. */
  int ends[kCapacity];
  Entry entries[kCapacity];
};

/** The chunk of a block: which entry, and the first element. */
struct Place {
  int entry;
  std::int64_t first;
};

template <typename T, typename Entry>
__device__ inline Place PlaceOfBlock(const Table<Entry>& table) {
  const int block = static_cast<int>(blockIdx.x);
  int low = 0;
  int high = table.count - 1;
  while (low < high) {
    const int middle = (low + high) / 2;
    if (table.ends[middle] <= block) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  const int start = low == 0 ? 0 : table.ends[low - 1];
  return {low, static_cast<std::int64_t>(block - start) * kChunk<T>};
}

/** True where every pointer (null ones too) allows 16-byte accesses. */
template <typename... Pointers>
__device__ inline bool AllAligned(Pointers... pointers) {
  return ((reinterpret_cast<std::uintptr_t>(pointers) | ...) & 15) == 0;
}

/** Fills tables from `entries` and gives each full one, with its number of blocks, to `launch`. */
template <typename T, typename Entry, typename Launch>
void ForEachTable(const Entry* entries, int count, const Launch& launch) {
  // A launch of more blocks than this would overflow `ends`.
  constexpr std::int64_t kMostBlocks = 1 << 30;
  Table<Entry> table;
  std::int64_t blocks = 0;
  const auto flush = [&] {
    if (blocks > 0) {
      launch(table, static_cast<unsigned>(blocks));
    }
    table.count = 0;
    blocks = 0;
  };
  for (int i = 0; i < count; ++i) {
    const std::int64_t chunks = (entries[i].size + kChunk<T> - 1) / kChunk<T>;
    if (chunks == 0) {
      continue;
    }
    if (table.count == Table<Entry>::kCapacity || blocks + chunks > kMostBlocks) {
      flush();
    }
    blocks += chunks;
    table.ends[table.count] = static_cast<int>(blocks);
    table.entries[table.count] = entries[i];
    ++table.count;
  }
  flush();
}

/** factor · teacher + (1 − factor) · student, from the nearer end, as at::lerp; factor 0 copies. */
template <typename Acc>
__device__ inline Acc Average(Acc teacher, Acc student, Acc weight) {
  const Acc difference = student - teacher;
  if (weight == Acc(1)) {
    return student;
  }
  return weight < Acc(0.5) ? teacher + weight * difference
                           : student - difference * (Acc(1) - weight);
}

}  // namespace m3l::cuda
