// What the kernels of token_dwconv_gelu share: channels in packs of up to 16 bytes, neighbouring
// columns of a row, the taps, and how a grid of tokens is cut into blocks.
//
// A thread owns a pack of channels of two neighbouring columns and walks down a band of rows: of
// four columns it reads, two are its own. What a row takes part in is held in registers by the
// row's number modulo three, in loops unrolled as often, so that nothing moves between registers.
#pragma once

#include "rows.cuh"
#include "token_dwconv_gelu.cuh"

namespace m3l::cuda {
namespace {

constexpr int kTaps = 10;
/** Columns that a thread owns, and those that it reads. */
constexpr int kOwn = 2;
constexpr int kRead = kOwn + 2;
/** Enough blocks for two waves of the largest GPUs before bands are made longer. */
constexpr int kBlocksWanted = 1024;

template <int kBytes>
struct WordOf;
template <>
struct WordOf<2> {
  using Type = std::uint16_t;
};
template <>
struct WordOf<4> {
  using Type = std::uint32_t;
};
template <>
struct WordOf<8> {
  using Type = uint2;
};
template <>
struct WordOf<16> {
  using Type = uint4;
};

/** kCount elements as they lie in memory, in one access. */
template <typename T, int kCount>
struct Packed {
  using Word = typename WordOf<kCount* static_cast<int>(sizeof(T))>::Type;
  Word word;

  __device__ __forceinline__ void Load(const T* from) {
    word = *reinterpret_cast<const Word*>(from);
  }
  __device__ __forceinline__ void Unpack(ComputesIn<T> (&to)[kCount]) const {
    WidenAll<kCount, T>(&word, to);
  }
  __device__ __forceinline__ void Pack(const ComputesIn<T> (&from)[kCount]) {
    T values[kCount];
#pragma unroll
    for (int i = 0; i < kCount; ++i) values[i] = Narrow<T>(from[i]);
    __builtin_memcpy(&word, values, sizeof(word));
  }
  __device__ __forceinline__ void Store(T* to) const { *reinterpret_cast<Word*>(to) = word; }
};

/** Neighbouring columns of one row. Zeros where it was made, and so outside of the grid, where
 * nothing is loaded over them. */
template <typename T, int kCount, int kColumns>
struct Columns {
  Packed<T, kCount> packed[kColumns];

  __device__ __forceinline__ Columns() {
#pragma unroll
    for (int j = 0; j < kColumns; ++j) packed[j].word = {};
  }
  /** `first`: where the first column is, or would be. */
  __device__ __forceinline__ void Load(const T* first, int channels, const bool* inside) {
#pragma unroll
    for (int j = 0; j < kColumns; ++j) {
      if (inside[j]) packed[j].Load(first + static_cast<std::int64_t>(channels) * j);
    }
  }
};

/** Which of the columns from `first` on lie in the grid; none where `any` is false. */
template <int kColumns>
__device__ __forceinline__ void Inside(int first, int width, bool any, bool (&inside)[kColumns]) {
#pragma unroll
  for (int j = 0; j < kColumns; ++j) inside[j] = any && first + j >= 0 && first + j < width;
}

template <typename A, int kCount>
__device__ __forceinline__ void LoadTaps(const A* taps, int channels, int channel,
                                         A (&to)[kTaps][kCount]) {
#pragma unroll
  for (int k = 0; k < kTaps; ++k) {
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      to[k][i] = taps[static_cast<std::int64_t>(k) * channels + channel + i];
    }
  }
}

inline int Divided(std::int64_t x, std::int64_t by) { return static_cast<int>((x + by - 1) / by); }

/** How a grid is cut: bands of rows, tiles of columns, blocks of channels; the last varies first.
 */
struct Cut {
  int bands;
  int rows;
  int tiles;
  /** Columns of a tile. */
  int columns;
  int channel_blocks;

  Cut(const TokenGrid& grid, int most_columns, int channels_per_block, int least_rows) {
    tiles = Divided(grid.width, most_columns);
    columns = kOwn * Divided(Divided(grid.width, tiles), kOwn);
    tiles = Divided(grid.width, columns);
    channel_blocks = Divided(grid.channels, channels_per_block);
    const std::int64_t blocks = static_cast<std::int64_t>(grid.batch) * tiles * channel_blocks;
    const int wanted = blocks == 0 ? 1 : Divided(kBlocksWanted, blocks);
    const int most = Divided(grid.height, least_rows);
    rows = Divided(grid.height, wanted < most ? wanted : most);
    bands = Divided(grid.height, rows);
  }
  std::int64_t Slots(const TokenGrid& grid) const {
    return static_cast<std::int64_t>(grid.batch) * bands * tiles;
  }
};

/** Where a block works. */
struct Place {
  int channels_begin;
  int tile;
  int top;
  int bottom;
  /** Where its sample begins. */
  std::int64_t sample;

  __device__ __forceinline__ Place(const TokenGrid& grid, const Cut& cut, int channels_per_block) {
    int index = static_cast<int>(blockIdx.x);
    channels_begin = index % cut.channel_blocks * channels_per_block;
    index /= cut.channel_blocks;
    tile = index % cut.tiles;
    index /= cut.tiles;
    top = index % cut.bands * cut.rows;
    bottom = min(grid.height, top + cut.rows);
    sample =
        static_cast<std::int64_t>(index / cut.bands) * grid.height * grid.width * grid.channels;
  }
};

}  // namespace
}  // namespace m3l::cuda
