// Depthwise 3×3 convolution and GELU on tokens, channels last. A thread owns a few channels of one
// column and walks down a band of rows; threads of a block lie along the channels, so that a warp
// reads whole lines, and along neighbouring columns, so that the two columns on either side of a
// thread's own come from the first-level cache.
//
// Elements read and written of [B, N, C] in global memory:
//   forward      x read, y written                            2
//   backward     x, gradient read, slope written              3, with the activation 4
//                slope read, gradient of x written            2
// and beyond those, per band, two rows; per block of columns, two columns, which the second-level
// cache mostly has; and the partial sums of the taps, 10 for every band of every 8 columns.
#include "rows.cuh"
#include "token_dwconv_gelu.cuh"
#include "token_dwconv_gelu_pack.cuh"

namespace m3l::cuda {
namespace {

constexpr int kTaps = 10;
constexpr int kColumnsPerBlock = 8;
/** Enough blocks for two waves of the largest GPUs before bands are made longer. */
constexpr int kBlocksWanted = 1024;
constexpr int kLeastRows = 8;

// Convolve: 32 × 8 threads; 36 registers of taps, 12 of sums, 24 of rows in flight in float, 102 in
// all (half types, 8 channels a thread: 72, 24 and 24, 128 in all): 2 blocks an SM, 16 warps with 3
// loads of 16 bytes each in flight, 24 KB; no shared memory.
constexpr int kConvolveLanes = 32;
constexpr int kConvolveThreads = kConvolveLanes * kColumnsPerBlock;
// Slope: 16 × 8 threads of 4 channels (double: 2), for each 9 inputs, 10 taps and 10 sums in
// registers, 152 to 165 in all: 3 blocks an SM, 12 warps with 4 loads each in flight. Half types
// are read by 8 bytes here: 8 channels a thread would need 300 registers. 20 KB of shared memory,
// at the end.
constexpr int kSlopeLanes = 16;
constexpr int kSlopeThreads = kSlopeLanes * kColumnsPerBlock;

/** How a grid is cut: bands of rows, blocks of columns, blocks of channels; the last varies first.
 */
struct Cut {
  int bands;
  int rows;
  int column_blocks;
  int channel_blocks;

  Cut(const TokenGrid& grid, int channels_per_block) {
    column_blocks = (grid.width + kColumnsPerBlock - 1) / kColumnsPerBlock;
    channel_blocks = (grid.channels + channels_per_block - 1) / channels_per_block;
    const std::int64_t blocks =
        static_cast<std::int64_t>(grid.batch) * column_blocks * channel_blocks;
    const std::int64_t wanted = blocks == 0 ? 1 : (kBlocksWanted + blocks - 1) / blocks;
    const int most = (grid.height + kLeastRows - 1) / kLeastRows;
    rows = (grid.height + static_cast<int>(wanted < most ? wanted : most) - 1) /
           static_cast<int>(wanted < most ? wanted : most);
    bands = (grid.height + rows - 1) / rows;
  }
  std::int64_t Slots(const TokenGrid& grid) const {
    return static_cast<std::int64_t>(grid.batch) * bands * column_blocks;
  }
};

/** Where a thread works. */
struct Place {
  int channel;
  int column;
  int top;
  int bottom;
  std::int64_t sample;
  bool inside;

  __device__ __forceinline__ Place(const TokenGrid& grid, const Cut& cut, int channels_per_thread) {
    int index = static_cast<int>(blockIdx.x);
    channel = (index % cut.channel_blocks * static_cast<int>(blockDim.x) +
               static_cast<int>(threadIdx.x)) *
              channels_per_thread;
    index /= cut.channel_blocks;
    column = index % cut.column_blocks * kColumnsPerBlock + static_cast<int>(threadIdx.y);
    index /= cut.column_blocks;
    top = index % cut.bands * cut.rows;
    bottom = min(grid.height, top + cut.rows);
    sample = index / cut.bands;
    inside = channel < grid.channels && column < grid.width;
  }
  __device__ __forceinline__ std::int64_t Offset(const TokenGrid& grid, int row) const {
    return ((sample * grid.height + row) * grid.width + column) * grid.channels + channel;
  }
};

/** The columns to the left of a thread's own, its own, and to the right, of one row; else zeros. */
template <typename T, int kCount>
struct Neighbours {
  Packed<T, kCount> packed[3];

  __device__ __forceinline__ void Load(const T* x, const TokenGrid& grid, const Place& place,
                                       int row) {
#pragma unroll
    for (int i = 0; i < 3; ++i) packed[i].word = {};
    if (row < 0 || row >= grid.height) return;
    const T* from = x + place.Offset(grid, row);
    if (place.column > 0) packed[0].Load(from - grid.channels);
    packed[1].Load(from);
    if (place.column + 1 < grid.width) packed[2].Load(from + grid.channels);
  }
};

template <typename A, int kCount>
__device__ __forceinline__ void LoadTaps(const A* taps, int index, int channels, int channel,
                                         A (&to)[kCount]) {
#pragma unroll
  for (int i = 0; i < kCount; ++i) {
    to[i] = taps[static_cast<std::int64_t>(index) * channels + channel + i];
  }
}

/**
 * Output-stationary: a row read adds to the three rows of outputs that it touches, so that three
 * sums are held and no inputs; the row after it is already under way. kTransposed: taps in reverse,
 * neither bias nor activation.
 */
template <typename T, int kCount, bool kTransposed>
__global__ void __launch_bounds__(kConvolveThreads, sizeof(T) == 8 ? 1 : 2)
    Convolve(const T* __restrict__ x, const ComputesIn<T>* __restrict__ taps, TokenGrid grid,
             Cut cut, T* __restrict__ y) {
  using A = ComputesIn<T>;
  const Place place(grid, cut, kCount);
  if (!place.inside) return;
  A weights[9][kCount];
#pragma unroll
  for (int k = 0; k < 9; ++k) {
    LoadTaps<A, kCount>(taps, kTransposed ? 8 - k : k, grid.channels, place.channel, weights[k]);
  }
  A bias[kCount] = {};
  if (!kTransposed) LoadTaps<A, kCount>(taps, 9, grid.channels, place.channel, bias);

  A above[kCount] = {};
  A here[kCount] = {};
  Neighbours<T, kCount> coming;
  coming.Load(x, grid, place, place.top - 1);
  for (int row = place.top - 1; row <= place.bottom; ++row) {
    const Neighbours<T, kCount> now = coming;
    if (row < place.bottom) coming.Load(x, grid, place, row + 1);
    A below[kCount];
#pragma unroll
    for (int i = 0; i < kCount; ++i) below[i] = bias[i];
#pragma unroll
    for (int j = 0; j < 3; ++j) {
      A values[kCount];
      now.packed[j].Unpack(values);
#pragma unroll
      for (int i = 0; i < kCount; ++i) {
        above[i] += weights[6 + j][i] * values[i];
        here[i] += weights[3 + j][i] * values[i];
        below[i] += weights[j][i] * values[i];
      }
    }
    if (row > place.top) {
      if (!kTransposed) {
#pragma unroll
        for (int i = 0; i < kCount; ++i) {
          A cdf;
          A density;
          Normal<T>(above[i], cdf, density);
          above[i] *= cdf;
        }
      }
      Packed<T, kCount> result;
      result.Pack(above);
      result.Store(y + place.Offset(grid, row - 1));
    }
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      above[i] = here[i];
      here[i] = below[i];
    }
  }
}

/** Nine inputs are held, since the gradients of the taps need them with the slope's. kActivated:
 * the forward's result is written too, to the same bits. */
template <typename T, int kCount, bool kActivated>
__global__ void __launch_bounds__(kSlopeThreads, sizeof(T) == 8 ? 2 : 3)
    Slope(const T* __restrict__ gradient, const T* __restrict__ x,
          const ComputesIn<T>* __restrict__ taps, TokenGrid grid, Cut cut, T* __restrict__ slope,
          T* __restrict__ activated, ComputesIn<T>* __restrict__ partial) {
  using A = ComputesIn<T>;
  __shared__ A sums[kColumnsPerBlock][kTaps][kSlopeLanes * kCount];
  const Place place(grid, cut, kCount);
  A sum[kTaps][kCount] = {};
  if (place.inside) {
    A weights[kTaps][kCount];
#pragma unroll
    for (int k = 0; k < kTaps; ++k) {
      LoadTaps<A, kCount>(taps, k, grid.channels, place.channel, weights[k]);
    }
    A inputs[9][kCount];
    Neighbours<T, kCount> coming;
    coming.Load(x, grid, place, place.top - 1);
#pragma unroll
    for (int j = 0; j < 3; ++j) coming.packed[j].Unpack(inputs[3 + j]);
    coming.Load(x, grid, place, place.top);
#pragma unroll
    for (int j = 0; j < 3; ++j) coming.packed[j].Unpack(inputs[6 + j]);
    for (int row = place.top; row < place.bottom; ++row) {
      Packed<T, kCount> raw;
      raw.Load(gradient + place.Offset(grid, row));
      coming.Load(x, grid, place, row + 1);
#pragma unroll
      for (int k = 0; k < 6; ++k) {
#pragma unroll
        for (int i = 0; i < kCount; ++i) inputs[k][i] = inputs[k + 3][i];
      }
#pragma unroll
      for (int j = 0; j < 3; ++j) coming.packed[j].Unpack(inputs[6 + j]);
      A values[kCount];
      raw.Unpack(values);
      A made[kCount];
#pragma unroll
      for (int i = 0; i < kCount; ++i) {
        A before = weights[9][i];
#pragma unroll
        for (int k = 0; k < 9; ++k) before += weights[k][i] * inputs[k][i];
        A cdf;
        A density;
        Normal<T>(before, cdf, density);
        made[i] = before * cdf;
        values[i] *= cdf + before * density;
#pragma unroll
        for (int k = 0; k < 9; ++k) sum[k][i] += values[i] * inputs[k][i];
        sum[9][i] += values[i];
      }
      raw.Pack(values);
      raw.Store(slope + place.Offset(grid, row));
      if (kActivated) {
        raw.Pack(made);
        raw.Store(activated + place.Offset(grid, row));
      }
    }
  }
#pragma unroll
  for (int k = 0; k < kTaps; ++k) {
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      sums[threadIdx.y][k][static_cast<int>(threadIdx.x) * kCount + i] = sum[k][i];
    }
  }
  __syncthreads();
  constexpr int kChannels = kSlopeLanes * kCount;
  const int thread = static_cast<int>(threadIdx.y) * kSlopeLanes + static_cast<int>(threadIdx.x);
  const int first = static_cast<int>(blockIdx.x) % cut.channel_blocks * kChannels;
  const std::int64_t slot = static_cast<int>(blockIdx.x) / cut.channel_blocks;
  for (int at = thread; at < kTaps * kChannels; at += kSlopeThreads) {
    const int k = at / kChannels;
    const int c = at % kChannels;
    if (first + c >= grid.channels) continue;
    A total = 0;
#pragma unroll
    for (int column = 0; column < kColumnsPerBlock; ++column) total += sums[column][k][c];
    partial[(slot * kTaps + k) * grid.channels + first + c] = total;
  }
}

/** Channels a thread of Slope takes. */
template <typename T>
constexpr int kSlopeVector = sizeof(T) == 8 ? 2 : 4;

template <typename T, int kCount, bool kTransposed>
void LaunchConvolve(const T* x, const ComputesIn<T>* taps, const TokenGrid& grid, T* y,
                    cudaStream_t stream) {
  const Cut cut(grid, kConvolveLanes * kCount);
  const auto blocks = static_cast<unsigned>(cut.Slots(grid) * cut.channel_blocks);
  if (blocks == 0) return;
  const dim3 threads(kConvolveLanes, kColumnsPerBlock);
  Launch(Convolve<T, kCount, kTransposed>, blocks, threads, 0, stream, x, taps, grid, cut, y);
}

template <typename T, bool kTransposed>
void LaunchConvolveAligned(const T* x, const ComputesIn<T>* taps, const TokenGrid& grid, T* y,
                           cudaStream_t stream) {
  if (grid.channels % kVector<T> == 0 && Aligned(x) && Aligned(y)) {
    LaunchConvolve<T, kVector<T>, kTransposed>(x, taps, grid, y, stream);
  } else {
    LaunchConvolve<T, 1, kTransposed>(x, taps, grid, y, stream);
  }
}

template <typename T, int kCount>
void LaunchSlope(const T* gradient, const T* x, const ComputesIn<T>* taps, const TokenGrid& grid,
                 T* slope, T* activated, ComputesIn<T>* partial, cudaStream_t stream) {
  // Bands by the channels of the vector kernel: TokenDwconvSlots knows no alignment.
  Cut cut(grid, kSlopeLanes * kSlopeVector<T>);
  cut.channel_blocks = (grid.channels + kSlopeLanes * kCount - 1) / (kSlopeLanes * kCount);
  const auto blocks = static_cast<unsigned>(cut.Slots(grid) * cut.channel_blocks);
  if (blocks == 0) return;
  const dim3 threads(kSlopeLanes, kColumnsPerBlock);
  const auto kernel = activated ? &Slope<T, kCount, true> : &Slope<T, kCount, false>;
  Launch(kernel, blocks, threads, 0, stream, gradient, x, taps, grid, cut, slope, activated,
         partial);
}

}  // namespace

template <typename T, typename A>
void LaunchTokenDwconvGelu(const T* x, const A* taps, const TokenGrid& grid, T* y,
                           cudaStream_t stream) {
  LaunchConvolveAligned<T, false>(x, taps, grid, y, stream);
}

template <typename T, typename A>
void LaunchTokenDwconvTransposed(const T* slope, const A* taps, const TokenGrid& grid, T* x,
                                 cudaStream_t stream) {
  LaunchConvolveAligned<T, true>(slope, taps, grid, x, stream);
}

template <typename T>
int TokenDwconvSlots(const TokenGrid& grid) {
  return static_cast<int>(Cut(grid, kSlopeLanes * kSlopeVector<T>).Slots(grid));
}

template <typename T, typename A>
void LaunchTokenDwconvSlope(const T* gradient, const T* x, const A* taps, const TokenGrid& grid,
                            T* slope, T* activated, A* partial, A* taps_gradient,
                            cudaStream_t stream) {
  const bool aligned = grid.channels % kSlopeVector<T> == 0 && Aligned(gradient) && Aligned(x) &&
                       Aligned(slope) && Aligned(activated);
  if (aligned) {
    LaunchSlope<T, kSlopeVector<T>>(gradient, x, taps, grid, slope, activated, partial, stream);
  } else {
    LaunchSlope<T, 1>(gradient, x, taps, grid, slope, activated, partial, stream);
  }
  LaunchAddSlots(partial, TokenDwconvSlots<T>(grid), kTaps * grid.channels, taps_gradient, stream);
}

#define M3L_INSTANTIATE(T)                                                                         \
  template void LaunchTokenDwconvGelu<T, ComputesIn<T>>(const T*, const ComputesIn<T>*,            \
                                                        const TokenGrid&, T*, cudaStream_t);       \
  template void LaunchTokenDwconvTransposed<T, ComputesIn<T>>(const T*, const ComputesIn<T>*,      \
                                                              const TokenGrid&, T*, cudaStream_t); \
  template int TokenDwconvSlots<T>(const TokenGrid&);                                              \
  template void LaunchTokenDwconvSlope<T, ComputesIn<T>>(const T*, const T*, const ComputesIn<T>*, \
                                                         const TokenGrid&, T*, T*, ComputesIn<T>*, \
                                                         ComputesIn<T>*, cudaStream_t);
M3L_INSTANTIATE(float)
M3L_INSTANTIATE(double)
M3L_INSTANTIATE(__half)
M3L_INSTANTIATE(__nv_bfloat16)
#undef M3L_INSTANTIATE

}  // namespace m3l::cuda
