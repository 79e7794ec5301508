#include "mask_tokens.cuh"
#include "rows.cuh"

namespace m3l::cuda {
namespace {

// 256 threads, about 20 registers and no shared memory: 8 blocks of 256 fill an SM.
constexpr int kThreads = 256;

/**
 * One word a thread; of a masked row nothing is read, so that nothing of it can leak. The index has
 * 32 bits where they do: its divisions are most of the instructions.
 */
template <typename Word, typename Index>
__global__ void __launch_bounds__(kThreads)
    SelectRows(const Word* from, const Word* instead, const bool* mask, Index share, Index words,
               Index size, Word* to) {
  const Index i = static_cast<Index>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= size) return;
  const Index row = i / words;
  Word word{};
  if (!mask[row / share]) {
    word = from[i];
  } else if (instead != nullptr) {
    word = instead[i - row * words];
  }
  to[i] = word;
}

template <typename Word>
void SelectWords(const void* from, const void* instead, const bool* mask, std::int64_t share,
                 std::int64_t rows, std::int64_t bytes, void* to, cudaStream_t stream) {
  const std::int64_t words = bytes / static_cast<std::int64_t>(sizeof(Word));
  const std::int64_t size = rows * words;
  if (size == 0) return;
  const auto blocks = static_cast<unsigned>((size + kThreads - 1) / kThreads);
  const auto* source = static_cast<const Word*>(from);
  const auto* other = static_cast<const Word*>(instead);
  auto* target = static_cast<Word*>(to);
  if (size <= std::int64_t{1} << 31) {
    Launch(SelectRows<Word, std::uint32_t>, blocks, kThreads, 0, stream, source, other, mask,
           static_cast<std::uint32_t>(share), static_cast<std::uint32_t>(words),
           static_cast<std::uint32_t>(size), target);
  } else {
    Launch(SelectRows<Word, std::int64_t>, blocks, kThreads, 0, stream, source, other, mask, share,
           words, size, target);
  }
}

constexpr int kRowsPerSlot = 256;
constexpr int kMostSlots = 1024;

/**
 * Blocks of 32 columns × 8 rows sum the masked rows of their slot, [begin, begin + length); 1 KB of
 * shared memory (double: 2 KB), few registers: full occupancy.
 */
template <typename T, typename A>
__global__ void __launch_bounds__(kColumns* kSlices)
    SumMasked(const T* gradient, const bool* mask, std::int64_t share, std::int64_t rows,
              std::int64_t length, int channels, A* partial) {
  __shared__ A sums[kSlices][kColumns];
  const int c = static_cast<int>(blockIdx.x) * kColumns + static_cast<int>(threadIdx.x);
  const std::int64_t begin = blockIdx.y * length;
  const std::int64_t end = min(rows, begin + length);
  A sum = 0;
  if (c < channels) {
    for (std::int64_t row = begin + threadIdx.y; row < end; row += kSlices) {
      if (mask[row / share]) sum += Widen(gradient[row * channels + c]);
    }
  }
  sums[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y != 0 || c >= channels) return;
#pragma unroll
  for (int slice = 1; slice < kSlices; ++slice) sum += sums[slice][threadIdx.x];
  partial[static_cast<std::int64_t>(blockIdx.y) * channels + c] = sum;
}

}  // namespace

void LaunchSelectRows(const void* from, const void* instead, const bool* mask, std::int64_t share,
                      std::int64_t rows, std::int64_t bytes, int element, void* to,
                      cudaStream_t stream) {
  if (bytes % 16 == 0 && Aligned(from) && Aligned(instead) && Aligned(to)) {
    SelectWords<uint4>(from, instead, mask, share, rows, bytes, to, stream);
  } else if (element == 8) {
    SelectWords<std::uint64_t>(from, instead, mask, share, rows, bytes, to, stream);
  } else if (element == 4) {
    SelectWords<std::uint32_t>(from, instead, mask, share, rows, bytes, to, stream);
  } else {
    SelectWords<std::uint16_t>(from, instead, mask, share, rows, bytes, to, stream);
  }
}

int SumMaskedSlots(std::int64_t rows) {
  const std::int64_t slots = (rows + kRowsPerSlot - 1) / kRowsPerSlot;
  return static_cast<int>(slots < kMostSlots ? slots : kMostSlots);
}

template <typename T, typename A>
void LaunchSumMasked(const T* gradient, const bool* mask, std::int64_t share, std::int64_t rows,
                     int channels, A* partial, T* result, cudaStream_t stream) {
  const int slots = SumMaskedSlots(rows);
  if (slots > 0 && channels > 0) {
    const std::int64_t length = (rows + slots - 1) / slots;
    const dim3 blocks(static_cast<unsigned>((channels + kColumns - 1) / kColumns),
                      static_cast<unsigned>(slots));
    Launch(SumMasked<T, A>, blocks, dim3(kColumns, kSlices), 0, stream, gradient, mask, share, rows,
           length, channels, partial);
  }
  LaunchAddSlots(partial, slots, channels, result, stream);
}

#define M3L_INSTANTIATE(T)                         \
  template void LaunchSumMasked<T, ComputesIn<T>>( \
      const T*, const bool*, std::int64_t, std::int64_t, int, ComputesIn<T>*, T*, cudaStream_t);
M3L_EACH_TYPE(M3L_INSTANTIATE)
#undef M3L_INSTANTIATE

}  // namespace m3l::cuda
