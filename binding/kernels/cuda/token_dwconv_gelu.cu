// Depthwise 3×3 convolution and GELU on tokens, channels last: each element of [B, N, C] is read
// once from memory and written once, 2 passes; beyond those two rows of every band and two columns
// of every tile, which the second-level cache mostly has.
#include "gelu.cuh"
#include "token_dwconv_gelu_tile.cuh"

namespace m3l::cuda {
namespace {

// 32 lanes along the channels, so that a warp reads whole lines, × up to 8 pairs of columns. A
// thread of 4 channels (double: 2) holds 40 taps, 24 sums and the rows under way, 114 to 122
// registers: 2 blocks an SM, 16 warps, no shared memory. Of half types three rows are under way,
// 24 KiB an SM of what no other thread reads first; else one, 16 KiB.
constexpr int kLanes = 32;
constexpr int kPairs = 8;
constexpr int kLeastRows = 8;
/** Channels of a thread. */
template <typename T>
constexpr int kChannels = sizeof(T) == 8 ? 2 : 4;

/**
 * Output-stationary: a row read adds to the three rows of outputs that it touches, so that three
 * sums are held and no inputs.
 */
template <typename T, int kCount>
__global__ void __launch_bounds__(kLanes* kPairs, sizeof(T) == 8 ? 1 : 2)
    Convolve(const T* __restrict__ x, const ComputesIn<T>* __restrict__ taps, TokenGrid grid,
             Cut cut, T* __restrict__ y) {
  using A = ComputesIn<T>;
  constexpr int kAhead = sizeof(T) == 2 ? 3 : 1;
  const Place place(grid, cut, kLanes * kCount);
  const int channel = place.channels_begin + static_cast<int>(threadIdx.x) * kCount;
  const int column = place.tile * cut.columns + static_cast<int>(threadIdx.y) * kOwn;
  if (channel >= grid.channels || column >= grid.width) return;
  A weights[kTaps][kCount];
  LoadTaps(taps, grid.channels, channel, weights);
  bool inside[kRead];
  Inside(column - 1, grid.width, true, inside);

  const int line = grid.width * grid.channels;
  const int last = min(place.bottom, grid.height - 1);
  const std::int64_t start =
      place.sample + static_cast<std::int64_t>(place.top) * line + column * grid.channels + channel;
  T* to = y + start;
  // Of the row that is to be loaded: one that there is, whatever `row` it is loaded for.
  const T* from = x + start - grid.channels;
  int at = place.top;
  Columns<T, kCount, kRead> coming[kAhead];
  const auto load = [&](Columns<T, kCount, kRead>& row) {
    row.Load(from, grid.channels, inside);
    if (at < last) from += line;
    ++at;
  };
  if (place.top > 0) coming[0].Load(from - line, grid.channels, inside);
#pragma unroll
  for (int i = 1; i < kAhead; ++i) load(coming[i]);
  A sums[3][kOwn][kCount] = {};
  for (int first = place.top - 1; first <= place.bottom; first += 3) {
#pragma unroll
    for (int phase = 0; phase < 3; ++phase) {
      const int row = first + phase;
      if (row > place.bottom) break;
      auto& above = sums[phase];
      auto& here = sums[(phase + 1) % 3];
      auto& below = sums[(phase + 2) % 3];
      auto& now = coming[phase % kAhead];
      A values[kRead][kCount] = {};
      if (row >= 0 && row <= last) {
#pragma unroll
        for (int j = 0; j < kRead; ++j) now.packed[j].Unpack(values[j]);
      }
      load(now);
#pragma unroll
      for (int j = 0; j < 3; ++j) {
#pragma unroll
        for (int c = 0; c < kOwn; ++c) {
#pragma unroll
          for (int i = 0; i < kCount; ++i) {
            const A value = values[c + j][i];
            above[c][i] += weights[6 + j][i] * value;
            here[c][i] += weights[3 + j][i] * value;
            below[c][i] = (j == 0 ? weights[9][i] : below[c][i]) + weights[j][i] * value;
          }
        }
      }
      if (row <= place.top) continue;
#pragma unroll
      for (int c = 0; c < kOwn; ++c) {
        if (!inside[1 + c]) continue;
        Packed<T, kCount> result;
        A made[kCount];
#pragma unroll
        for (int i = 0; i < kCount; ++i) made[i] = Gelu<T>(above[c][i]);
        result.Pack(made);
        result.Store(to + static_cast<std::int64_t>(grid.channels) * c);
      }
      to += line;
    }
  }
}

template <typename T, int kCount>
void LaunchConvolve(const T* x, const ComputesIn<T>* taps, const TokenGrid& grid, T* y,
                    cudaStream_t stream) {
  const Cut cut(grid, kPairs * kOwn, kLanes * kCount, kLeastRows);
  const auto blocks = static_cast<unsigned>(cut.Slots(grid) * cut.channel_blocks);
  if (blocks == 0) return;
  const dim3 threads(kLanes, static_cast<unsigned>(cut.columns / kOwn));
  Launch(Convolve<T, kCount>, blocks, threads, 0, stream, x, taps, grid, cut, y);
}

}  // namespace

template <typename T, typename A>
void LaunchTokenDwconvGelu(const T* x, const A* taps, const TokenGrid& grid, T* y,
                           cudaStream_t stream) {
  if (grid.channels % kChannels<T> == 0 && Aligned(x) && Aligned(y)) {
    LaunchConvolve<T, kChannels<T>>(x, taps, grid, y, stream);
  } else {
    LaunchConvolve<T, 1>(x, taps, grid, y, stream);
  }
}

#define M3L_INSTANTIATE(T)                                                              \
  template void LaunchTokenDwconvGelu<T, ComputesIn<T>>(const T*, const ComputesIn<T>*, \
                                                        const TokenGrid&, T*, cudaStream_t);
M3L_EACH_TYPE(M3L_INSTANTIATE)
#undef M3L_INSTANTIATE

}  // namespace m3l::cuda
