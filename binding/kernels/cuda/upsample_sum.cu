// Tokens on grids, channels last: a thread takes 16 bytes of channels of several pixels in a line,
// so that what lies between two of a map's pixels is read once for all that it is upsampled to.
#include "bilinear.cuh"
#include "rows.cuh"
#include "upsample_sum.cuh"

namespace m3l::cuda {
namespace {

constexpr int kThreads = 128;

/** kCount elements: one, or a vector from an address that is a multiple of 16. */
template <int kCount, typename T>
__device__ __forceinline__ void Load(const T* from, ComputesIn<T> (&to)[kCount]) {
  if constexpr (kCount == kVector<T>) {
    LoadVector(from, to);
  } else {
    static_assert(kCount == 1);
    to[0] = Widen(*from);
  }
}

template <int kCount, typename T>
__device__ __forceinline__ void Store(T* to, const ComputesIn<T> (&from)[kCount]) {
  if constexpr (kCount == kVector<T>) {
    StoreVector(to, from);
  } else {
    *to = Narrow<T>(from[0]);
  }
}

/** Numbers the threads that there is work for, and takes the number apart again. */
struct Item {
  std::uint64_t rest;

  __device__ __forceinline__ explicit Item(unsigned block)
      : rest(static_cast<std::uint64_t>(block) * kThreads + threadIdx.x) {}
  __device__ __forceinline__ std::uint64_t Take(std::uint64_t count) {
    const std::uint64_t taken = rest % count;
    rest /= count;
    return taken;
  }
};

unsigned Blocks(std::int64_t threads) {
  return static_cast<unsigned>((threads + kThreads - 1) / kThreads);
}

std::int64_t Divide(std::int64_t x, std::int64_t by) { return (x + by - 1) / by; }

/** Columns of the sum that a forward thread takes: at most 32 sums, in registers. */
template <int kCount>
constexpr int kStrip = kCount > 4 ? 4 : 8;

/** kCount channels between two rows of a map. */
template <int kCount, typename T>
__device__ __forceinline__ void Between(const T* above, const T* below, ComputesIn<T> weight,
                                        ComputesIn<T> (&to)[kCount]) {
  using A = ComputesIn<T>;
  A low[kCount];
  A high[kCount];
  Load<kCount>(above, low);
  Load<kCount>(below, high);
#pragma unroll
  for (int k = 0; k < kCount; ++k) to[k] = (A(1) - weight) * low[k] + weight * high[k];
}

// Of a map's column that several columns of the sum lie beside, both rows are read once; the rows
// above and below, which other threads read too, come from the caches. To memory go the base and
// the sum.
template <int kCount, typename T>
__global__ void __launch_bounds__(kThreads) UpsampleSumStrips(UpsampleSum<T> sum) {
  using A = ComputesIn<T>;
  constexpr int kWidth = kStrip<kCount>;
  Item item(blockIdx.x);
  const auto channel = static_cast<std::int64_t>(item.Take(sum.channels / kCount)) * kCount;
  const int strips = (sum.width + kWidth - 1) / kWidth;
  const int left = static_cast<int>(item.Take(strips)) * kWidth;
  const int y = static_cast<int>(item.Take(sum.height));
  const auto sample = static_cast<std::int64_t>(item.rest);
  if (sample >= sum.batch) return;
  const std::int64_t channels = sum.channels;
  const std::int64_t start = ((sample * sum.height + y) * sum.width + left) * channels + channel;
  const int width = min(kWidth, sum.width - left);

  A total[kWidth][kCount];
#pragma unroll
  for (int x = 0; x < kWidth; ++x) {
    if (x < width) Load<kCount>(sum.base + start + x * channels, total[x]);
  }
  for (int m = 0; m < sum.count; ++m) {
    const BilinearAxis<A, false> rows(sum.axes[m].rows);
    const BilinearAxis<A, false> columns(sum.axes[m].columns);
    const auto row = rows.At(y);
    const std::int64_t line = columns.from * channels;
    const T* const above = sum.maps[m] + (sample * rows.from + row.index) * line + channel;
    const T* const below = above + (row.next - row.index) * line;
    const auto load = [&](int column, A(&to)[kCount]) {
      Between<kCount>(above + column * channels, below + column * channels, row.weight, to);
    };
    // What lies between the rows in columns `at` and the next.
    int at = -2;
    A near[kCount];
    A next[kCount];
#pragma unroll
    for (int x = 0; x < kWidth; ++x) {
      if (x >= width) break;
      const auto column = columns.At(left + x);
      if (column.index != at) {
        if (column.index == at + 1) {
#pragma unroll
          for (int k = 0; k < kCount; ++k) near[k] = next[k];
        } else {
          load(column.index, near);
        }
        load(column.next, next);
        at = column.index;
      }
#pragma unroll
      for (int k = 0; k < kCount; ++k) {
        total[x][k] += (A(1) - column.weight) * near[k] + column.weight * next[k];
      }
    }
  }
#pragma unroll
  for (int x = 0; x < kWidth; ++x) {
    if (x >= width) break;
#pragma unroll
    for (int k = 0; k < kCount; ++k) {
      // A NaN stays one.
      if (sum.relu && total[x][k] < A(0)) total[x][k] = A(0);
    }
    Store<kCount>(sum.to + start + x * channels, total[x]);
  }
}

/** Rows of the map that a backward thread takes. */
constexpr int kCells = 4;

/** Of a sample, how many blocks the maps have up to each, that one included. */
struct MapBlocks {
  unsigned upTo[kMostMaps];
};

// Each thread adds up what its cells gave, row by row of the sum, first along the row: every sum
// has one owner, in one order. A pixel of the sum is read by the two columns of cells that it lies
// between, from the caches the second time; and by every map, from the second-level cache but for
// the first: the blocks of all maps follow each other, sample by sample, which has a few megabytes.
template <int kCount, typename T>
__global__ void __launch_bounds__(kThreads)
    GatherCells(const __grid_constant__ UpsampleSumBackward<T> sum,
                const __grid_constant__ MapBlocks blocks) {
  using A = ComputesIn<T>;
  const unsigned in_sample = blocks.upTo[sum.count - 1];
  const auto sample = static_cast<std::int64_t>(blockIdx.x / in_sample);
  const unsigned block = blockIdx.x % in_sample;
  int map = 0;
  while (block >= blocks.upTo[map]) ++map;
  const BilinearAxis<A, false> rows(sum.axes[map].rows);
  const BilinearAxis<A, false> columns(sum.axes[map].columns);
  Item item(block - (map > 0 ? blocks.upTo[map - 1] : 0));
  const auto channel = static_cast<std::int64_t>(item.Take(sum.channels / kCount)) * kCount;
  const int column = static_cast<int>(item.Take(columns.from));
  const int top = static_cast<int>(item.rest) * kCells;
  if (top >= rows.from) return;
  const int left = columns.FirstFrom(column - 1);
  const int right = columns.FirstFrom(column + 1);
  const int begin = rows.FirstFrom(top - 1);
  const int end = rows.FirstFrom(min(top + kCells, rows.from));

  A total[kCells][kCount] = {};
  const T* const gradient = sum.gradient + sample * rows.to * columns.to * sum.channels + channel;
  for (int y = begin; y < end; ++y) {
    const T* const line = gradient + static_cast<std::int64_t>(y) * columns.to * sum.channels;
    A along[kCount] = {};
#pragma unroll 4
    for (int x = left; x < right; ++x) {
      const A weight = columns.At(x).WeightOf(column);
      A values[kCount];
      Load<kCount>(line + x * sum.channels, values);
#pragma unroll
      for (int k = 0; k < kCount; ++k) along[k] += weight * values[k];
    }
    const auto row = rows.At(y);
#pragma unroll
    for (int cell = 0; cell < kCells; ++cell) {
      // What is not finite must not spread to the cells that gave nothing.
      const A weight = row.WeightOf(top + cell);
      if (weight == A(0)) continue;
#pragma unroll
      for (int k = 0; k < kCount; ++k) total[cell][k] += weight * along[k];
    }
  }
  T* const to =
      sum.to[map] + ((sample * rows.from + top) * columns.from + column) * sum.channels + channel;
#pragma unroll
  for (int cell = 0; cell < kCells; ++cell) {
    if (top + cell >= rows.from) break;
    Store<kCount>(to + static_cast<std::int64_t>(cell) * columns.from * sum.channels, total[cell]);
  }
}

template <int kCount, typename T>
void LaunchStrips(const UpsampleSum<T>& sum, cudaStream_t stream) {
  const std::int64_t lines = sum.batch * sum.height * Divide(sum.width, kStrip<kCount>);
  Launch(UpsampleSumStrips<kCount, T>, Blocks(lines * (sum.channels / kCount)), kThreads, 0, stream,
         sum);
}

template <int kCount, typename T>
void LaunchCells(const UpsampleSumBackward<T>& sum, cudaStream_t stream) {
  MapBlocks blocks{};
  unsigned all = 0;
  for (int m = 0; m < sum.count; ++m) {
    const auto& [rows, columns] = sum.axes[m];
    all += Blocks(Divide(rows.from, kCells) * columns.from * (sum.channels / kCount));
    blocks.upTo[m] = all;
  }
  Launch(GatherCells<kCount, T>, static_cast<unsigned>(sum.batch * all), kThreads, 0, stream, sum,
         blocks);
}

}  // namespace

template <typename T>
void LaunchUpsampleSum(const UpsampleSum<T>& sum, cudaStream_t stream) {
  bool vectors = sum.channels % kVector<T> == 0 && Aligned(sum.base) && Aligned(sum.to);
  for (int m = 0; m < sum.count; ++m) vectors = vectors && Aligned(sum.maps[m]);
  if (vectors) {
    LaunchStrips<kVector<T>>(sum, stream);
  } else {
    LaunchStrips<1>(sum, stream);
  }
}

template <typename T>
void LaunchUpsampleSumBackward(const UpsampleSumBackward<T>& sum, cudaStream_t stream) {
  bool vectors = sum.channels % kVector<T> == 0 && Aligned(sum.gradient);
  for (int m = 0; m < sum.count; ++m) vectors = vectors && Aligned(sum.to[m]);
  if (vectors) {
    LaunchCells<kVector<T>>(sum, stream);
  } else {
    LaunchCells<1>(sum, stream);
  }
}

#define M3L_INSTANTIATE(T)                                                 \
  template void LaunchUpsampleSum<T>(const UpsampleSum<T>&, cudaStream_t); \
  template void LaunchUpsampleSumBackward<T>(const UpsampleSumBackward<T>&, cudaStream_t);
M3L_EACH_TYPE(M3L_INSTANTIATE)
#undef M3L_INSTANTIATE

}  // namespace m3l::cuda
