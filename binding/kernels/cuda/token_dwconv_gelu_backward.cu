// The backward of token_dwconv_gelu in one pass: x and the gradient are read once, the gradient of
// x is written, 3 passes over [B, N, C], and with the activation 4. The convolution is computed
// again, its outputs' gradient (here "slope") stays on the chip: a thread has those of its own two
// columns in registers, and its neighbours' in shared memory, a row at a time, with one barrier a
// row.
//
// A tile has a column on each side, and a band a row, that are the next one's too: what a block
// computes twice is 2 of up to 32 columns and 2 of 16 rows or more, and what it reads twice of x 4
// columns and 4 rows; of those the second-level cache mostly has.
#include "gelu.cuh"
#include "token_dwconv_gelu_tile.cuh"

namespace m3l::cuda {
namespace {

// 16 lanes along the channels × up to 16 pairs of columns. A thread of 2 channels (double: 1) holds
// 20 taps, 20 sums of theirs, 24 inputs, 12 sums of outputs and the rows under way, 124 to 128
// registers: 2 blocks an SM, 16 warps. 28 KiB of shared memory, 20 of them for the end.
constexpr int kLanes = 16;
constexpr int kPairs = 16;
constexpr int kLeastRows = 16;
/** Channels of a thread. */
template <typename T>
constexpr int kChannels = sizeof(T) == 8 ? 1 : 2;
/** Columns of a tile that are its own. */
constexpr int kMostColumns = kPairs * kOwn - 2;

template <typename A, int kCount>
struct Shared {
  /** Of every other row the same. */
  A line[2][kPairs * kOwn][kLanes * kCount];
  A sums[kPairs][kTaps][kLanes * kCount];
};

/** The partial sums of the taps over the block's columns. */
template <typename A, int kCount>
__device__ __forceinline__ void WriteSums(const A (&sum)[kTaps][kCount], Shared<A, kCount>& shared,
                                          const TokenGrid& grid, const Cut& cut, int first,
                                          A* partial) {
  constexpr int kWidth = kLanes * kCount;
#pragma unroll
  for (int k = 0; k < kTaps; ++k) {
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      shared.sums[threadIdx.y][k][static_cast<int>(threadIdx.x) * kCount + i] = sum[k][i];
    }
  }
  __syncthreads();
  const int pairs = static_cast<int>(blockDim.y);
  const int thread = static_cast<int>(threadIdx.y) * kLanes + static_cast<int>(threadIdx.x);
  const std::int64_t slot = static_cast<int>(blockIdx.x) / cut.channel_blocks;
  for (int at = thread; at < kTaps * kWidth; at += pairs * kLanes) {
    const int k = at / kWidth;
    const int c = at % kWidth;
    if (first + c >= grid.channels) continue;
    A total = 0;
    for (int pair = 0; pair < pairs; ++pair) total += shared.sums[pair][k][c];
    partial[(slot * kTaps + k) * grid.channels + first + c] = total;
  }
}

/** kActivated: the forward's result is written too, to the same bits. */
template <typename T, int kCount, bool kActivated>
__global__ void __launch_bounds__(kLanes* kPairs, sizeof(T) == 8 ? 1 : 2)
    ConvolveBackward(const T* __restrict__ gradient, const T* __restrict__ x,
                     const ComputesIn<T>* __restrict__ taps, TokenGrid grid, Cut cut,
                     T* __restrict__ x_gradient, T* __restrict__ activated,
                     ComputesIn<T>* __restrict__ partial) {
  using A = ComputesIn<T>;
  constexpr int kAhead = sizeof(T) == 2 ? 3 : 1;
  __shared__ Shared<A, kCount> shared;
  const Place place(grid, cut, kLanes * kCount);
  const int lane = static_cast<int>(threadIdx.x) * kCount;
  const int channel = place.channels_begin + lane;
  // Pairs of columns lie over the tile and one more column on either side.
  const int pair = static_cast<int>(threadIdx.y) * kOwn;
  const int column = place.tile * cut.columns - 1 + pair;
  const bool any = channel < grid.channels;
  bool read[kRead];
  Inside(column - 1, grid.width, any, read);
  const bool* const inside = read + 1;
  // What the taps' sums have of a column: nothing of one that is another tile's.
  bool own[kOwn];
  A share[kOwn];
#pragma unroll
  for (int c = 0; c < kOwn; ++c) {
    own[c] = inside[c] && pair + c >= 1 && pair + c <= cut.columns;
    share[c] = own[c] ? A(1) : A(0);
  }
  const int left = max(pair - 1, 0);
  const int right = min(pair + kOwn, static_cast<int>(blockDim.y) * kOwn - 1);

  A weights[kTaps][kCount] = {};
  if (any) LoadTaps(taps, grid.channels, channel, weights);
  A sum[kTaps][kCount] = {};
  // Rows above, at and below that of the slope, by its number modulo 3: of x, and of the gradient.
  A inputs[3][kRead][kCount] = {};
  A sums[3][kOwn][kCount] = {};

  const int line = grid.width * grid.channels;
  const int height = grid.height;
  const std::int64_t start = place.sample + static_cast<std::int64_t>(place.top) * line +
                             static_cast<std::int64_t>(column) * grid.channels + channel;
  // Of the rows that are to be loaded next, but for the end, where there is none: x's are read from
  // top − 2 to bottom + 1, the gradient's from top − 1 to bottom.
  const T* const from_x = x + start - grid.channels;
  const T* from = gradient + start;
  int at_x = place.top;
  int at = place.top;
  const int last_x = min(place.bottom + 1, height - 1);
  const int last = min(place.bottom, height - 1);
  Columns<T, kCount, kRead> coming_x[kAhead];
  Columns<T, kCount, kOwn> coming[kAhead];
  // Addresses of x's columns, which one instruction each moves on; of the gradient's two there are
  // no registers left for them.
  const T* columns_x[kRead];
#pragma unroll
  for (int j = 0; j < kRead; ++j) {
    columns_x[j] = from_x + static_cast<std::int64_t>(grid.channels) * j;
  }
  const auto load_x = [&](Columns<T, kCount, kRead>& row) {
    const int step = at_x++ < last_x ? line : 0;
#pragma unroll
    for (int j = 0; j < kRead; ++j) {
      if (read[j]) row.packed[j].Load(columns_x[j]);
      columns_x[j] += step;
    }
  };
  const auto load = [&](Columns<T, kCount, kOwn>& row) {
    row.Load(from, grid.channels, inside);
    if (at++ < last) from += line;
  };
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    Columns<T, kCount, kRead> above;
    if (place.top > 0)
      above.Load(from_x - (2 - i) * static_cast<std::int64_t>(line), grid.channels, read);
#pragma unroll
    for (int j = 0; j < kRead; ++j) above.packed[j].Unpack(inputs[i][j]);
  }
  if (place.top > 0) coming[0].Load(from - line, grid.channels, inside);
#pragma unroll
  for (int i = 0; i < kAhead; ++i) {
    load_x(coming_x[i]);
    if (i > 0) load(coming[i]);
  }

  T* to = x_gradient + start;
  T* to_activated = kActivated ? activated + start : nullptr;
  for (int first = place.top - 1; first <= place.bottom; first += 3) {
#pragma unroll
    for (int phase = 0; phase < 3; ++phase) {
      const int row = first + phase;
      if (row > place.bottom) break;
      const int next = (phase + 1) % 3;
      const int after = (phase + 2) % 3;
      auto& now_x = coming_x[phase % kAhead];
      auto& now = coming[phase % kAhead];
#pragma unroll
      for (int j = 0; j < kRead; ++j) {
        if (row < height - 1) {
          now_x.packed[j].Unpack(inputs[after][j]);
        } else {
#pragma unroll
          for (int i = 0; i < kCount; ++i) inputs[after][j][i] = 0;
        }
      }
      load_x(now_x);

      // 0 above and below the grid, and beside it, where the gradient is.
      A slope[kOwn][kCount] = {};
      if (row < height) {
        const bool counted = row >= place.top && row < place.bottom;
#pragma unroll
        for (int c = 0; c < kOwn; ++c) {
          A made[kCount];
          now.packed[c].Unpack(slope[c]);
#pragma unroll
          for (int i = 0; i < kCount; ++i) {
            A before = weights[9][i];
#pragma unroll
            for (int j = 0; j < 3; ++j) {
              before += weights[j][i] * inputs[phase][c + j][i];
              before += weights[3 + j][i] * inputs[next][c + j][i];
              before += weights[6 + j][i] * inputs[after][c + j][i];
            }
            A slope_of_gelu;
            made[i] = Gelu<T>(before, &slope_of_gelu);
            slope[c][i] *= slope_of_gelu;
          }
          if (!counted) continue;
#pragma unroll
          for (int i = 0; i < kCount; ++i) {
            const A value = share[c] * slope[c][i];
#pragma unroll
            for (int j = 0; j < 3; ++j) {
              sum[j][i] += value * inputs[phase][c + j][i];
              sum[3 + j][i] += value * inputs[next][c + j][i];
              sum[6 + j][i] += value * inputs[after][c + j][i];
            }
            sum[9][i] += value;
          }
          if (kActivated && own[c]) {
            Packed<T, kCount> result;
            result.Pack(made);
            result.Store(to_activated + static_cast<std::int64_t>(grid.channels) * c);
          }
        }
        if (kActivated && counted) to_activated += line;
      }
      load(now);

      auto& shared_line = shared.line[row & 1];
#pragma unroll
      for (int c = 0; c < kOwn; ++c) {
#pragma unroll
        for (int i = 0; i < kCount; ++i) shared_line[pair + c][lane + i] = slope[c][i];
      }
      __syncthreads();
      A slopes[kRead][kCount];
#pragma unroll
      for (int i = 0; i < kCount; ++i) {
        slopes[0][i] = shared_line[left][lane + i];
        slopes[kRead - 1][i] = shared_line[right][lane + i];
#pragma unroll
        for (int c = 0; c < kOwn; ++c) slopes[1 + c][i] = slope[c][i];
      }
      // The taps in reverse: a slope's column j reaches the output column by the tap 2 − j.
#pragma unroll
      for (int j = 0; j < 3; ++j) {
#pragma unroll
        for (int c = 0; c < kOwn; ++c) {
#pragma unroll
          for (int i = 0; i < kCount; ++i) {
            const A value = slopes[c + j][i];
            sums[phase][c][i] += weights[2 - j][i] * value;
            sums[next][c][i] += weights[5 - j][i] * value;
            sums[after][c][i] = (j == 0 ? A(0) : sums[after][c][i]) + weights[8 - j][i] * value;
          }
        }
      }
      if (row > place.top) {
#pragma unroll
        for (int c = 0; c < kOwn; ++c) {
          if (!own[c]) continue;
          Packed<T, kCount> result;
          result.Pack(sums[phase][c]);
          result.Store(to + static_cast<std::int64_t>(grid.channels) * c);
        }
        to += line;
      }
    }
  }
  WriteSums(sum, shared, grid, cut, place.channels_begin, partial);
}

template <typename T>
Cut BackwardCut(const TokenGrid& grid) {
  return {grid, kMostColumns, kLanes * kChannels<T>, kLeastRows};
}

template <typename T, int kCount>
void LaunchBackward(const T* gradient, const T* x, const ComputesIn<T>* taps, const TokenGrid& grid,
                    T* x_gradient, T* activated, ComputesIn<T>* partial, cudaStream_t stream) {
  // Bands by the channels of the vector kernel: TokenDwconvSlots knows no alignment.
  Cut cut = BackwardCut<T>(grid);
  cut.channel_blocks = Divided(grid.channels, kLanes * kCount);
  const auto blocks = static_cast<unsigned>(cut.Slots(grid) * cut.channel_blocks);
  if (blocks == 0) return;
  const dim3 threads(kLanes, static_cast<unsigned>(cut.columns / kOwn + 1));
  const auto kernel =
      activated ? &ConvolveBackward<T, kCount, true> : &ConvolveBackward<T, kCount, false>;
  Launch(kernel, blocks, threads, 0, stream, gradient, x, taps, grid, cut, x_gradient, activated,
         partial);
}

}  // namespace

template <typename T>
int TokenDwconvSlots(const TokenGrid& grid) {
  return static_cast<int>(BackwardCut<T>(grid).Slots(grid));
}

template <typename T, typename A>
void LaunchTokenDwconvGeluBackward(const T* gradient, const T* x, const A* taps,
                                   const TokenGrid& grid, T* x_gradient, T* activated, A* partial,
                                   A* taps_gradient, cudaStream_t stream) {
  const bool aligned = grid.channels % kChannels<T> == 0 && Aligned(gradient) && Aligned(x) &&
                       Aligned(x_gradient) && Aligned(activated);
  if (aligned) {
    LaunchBackward<T, kChannels<T>>(gradient, x, taps, grid, x_gradient, activated, partial,
                                    stream);
  } else {
    LaunchBackward<T, 1>(gradient, x, taps, grid, x_gradient, activated, partial, stream);
  }
  LaunchAddSlots(partial, TokenDwconvSlots<T>(grid), kTaps * grid.channels, taps_gradient, stream);
}

#define M3L_INSTANTIATE(T)                                                                \
  template int TokenDwconvSlots<T>(const TokenGrid&);                                     \
  template void LaunchTokenDwconvGeluBackward<T, ComputesIn<T>>(                          \
      const T*, const T*, const ComputesIn<T>*, const TokenGrid&, T*, T*, ComputesIn<T>*, \
      ComputesIn<T>*, cudaStream_t);
M3L_EACH_TYPE(M3L_INSTANTIATE)
#undef M3L_INSTANTIATE

}  // namespace m3l::cuda
