#include "linear_fuse.cuh"
#include "rows.cuh"

namespace m3l::cuda {
namespace {

// 256 threads, about 32 registers and no shared memory: 8 blocks of 256 fill an SM (2048 threads),
// each thread with M independent 16-byte loads under way.
constexpr int kThreads = 256;

/** One 16-byte vector of each stream. Two are held in registers, more are read again from cache. */
template <typename T>
__global__ void __launch_bounds__(kThreads)
    FuseVectors(const T* x, T* y, std::int64_t stride, int modalities, ComputesIn<T> own,
                ComputesIn<T> other) {
  using A = ComputesIn<T>;
  constexpr int kCount = kVector<T>;
  const std::int64_t i = (static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x) * kCount;
  if (i >= stride) return;
  if (modalities == 2) {
    A a[kCount];
    A b[kCount];
    LoadVector(x + i, a);
    LoadVector(x + i + stride, b);
#pragma unroll
    for (int k = 0; k < kCount; ++k) {
      const A first = own * a[k] + other * b[k];
      b[k] = own * b[k] + other * a[k];
      a[k] = first;
    }
    StoreVector(y + i, a);
    StoreVector(y + i + stride, b);
    return;
  }
  A total[kCount] = {};
  A mine[kCount];
  for (int m = 0; m < modalities; ++m) {
    LoadVector(x + i + m * stride, mine);
#pragma unroll
    for (int k = 0; k < kCount; ++k) total[k] += mine[k];
  }
  for (int m = 0; m < modalities; ++m) {
    LoadVector(x + i + m * stride, mine);
#pragma unroll
    for (int k = 0; k < kCount; ++k) mine[k] = own * mine[k] + other * (total[k] - mine[k]);
    StoreVector(y + i + m * stride, mine);
  }
}

/** One element of each stream, for streams that are not all aligned. */
template <typename T>
__global__ void __launch_bounds__(kThreads)
    FuseScalars(const T* x, T* y, std::int64_t stride, int modalities, ComputesIn<T> own,
                ComputesIn<T> other) {
  using A = ComputesIn<T>;
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= stride) return;
  A total = 0;
  for (int m = 0; m < modalities; ++m) total += Widen(x[i + m * stride]);
  for (int m = 0; m < modalities; ++m) {
    const A mine = Widen(x[i + m * stride]);
    y[i + m * stride] = Narrow<T>(own * mine + other * (total - mine));
  }
}

unsigned Blocks(std::int64_t threads) {
  return static_cast<unsigned>((threads + kThreads - 1) / kThreads);
}

}  // namespace

template <typename T>
void LaunchLinearFuse(const T* x, T* y, std::int64_t stride, int modalities, double own,
                      double other, cudaStream_t stream) {
  using A = ComputesIn<T>;
  constexpr int kCount = kVector<T>;
  const A mine = static_cast<A>(own);
  const A theirs = static_cast<A>(other);
  // Streams whose length is no multiple of 16 bytes begin at addresses that are none either.
  const bool aligned = Aligned(x) && Aligned(y) && stride % kCount == 0;
  if (stride == 0) return;
  if (aligned) {
    Launch(FuseVectors<T>, Blocks(stride / kCount), kThreads, 0, stream, x, y, stride, modalities,
           mine, theirs);
  } else {
    Launch(FuseScalars<T>, Blocks(stride), kThreads, 0, stream, x, y, stride, modalities, mine,
           theirs);
  }
}

#define M3L_INSTANTIATE(T) \
  template void LaunchLinearFuse<T>(const T*, T*, std::int64_t, int, double, double, cudaStream_t);
M3L_EACH_TYPE(M3L_INSTANTIATE)
#undef M3L_INSTANTIATE

}  // namespace m3l::cuda
