#include "confusion_matrix.cuh"
#include "launch.cuh"

namespace m3l::cuda {
namespace {

// 512 threads, about 30 registers and up to 48 KiB of shared memory for the block's own table (110
// classes): 4 blocks, all of an SM's threads, of the 228 KiB of an H100. As many blocks as fit walk
// over all pixels, so that each table is added to the result once.
constexpr int kThreads = 512;
constexpr int kBlocksAProcessor = 4;
constexpr std::size_t kSharedBytes = 48 * 1024;

// What the atomic functions take; no narrower and no wider than the tensors' int64.
using Count = unsigned long long;

/** `kShared`: the table is in shared memory, else the result itself is added to. */
template <typename L, typename P, bool kShared>
__global__ void __launch_bounds__(kThreads)
    CountPixels(const L* __restrict__ labels, const P* __restrict__ predictions, Count* counts,
                Count* out_of_range, std::int64_t pixels, int classes, std::int64_t ignore) {
  auto* const table = DynamicShared<unsigned>();
  const int cells = classes * classes;
  if constexpr (kShared) {
    for (int i = static_cast<int>(threadIdx.x); i < cells; i += kThreads) table[i] = 0;
    __syncthreads();
  }
  const std::int64_t stride = static_cast<std::int64_t>(gridDim.x) * kThreads;
  // Whole warps go round together, for the vote below.
  const std::int64_t rounds = (pixels + stride - 1) / stride;
  std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  for (std::int64_t round = 0; round < rounds; ++round, i += stride) {
    int cell = -1;
    if (i < pixels) {
      const auto label = static_cast<std::int64_t>(labels[i]);
      const auto prediction = static_cast<std::int64_t>(predictions[i]);
      if (label != ignore) {
        const bool known = label >= 0 && label < classes;
        if (known && prediction >= 0 && prediction < classes) {
          cell = static_cast<int>(label) * classes + static_cast<int>(prediction);
        } else {
          Count* const noted = out_of_range + (known ? 2 : 0);
          atomicAdd(noted, Count{1});
          atomicExch(noted + 1, static_cast<Count>(known ? prediction : label));
        }
      }
    }
    // Neighbouring pixels are mostly of one cell: a warp adds to each of its cells once.
    const unsigned same = __match_any_sync(0xffffffffU, cell);
    if (cell >= 0 && __ffs(static_cast<int>(same)) - 1 == static_cast<int>(threadIdx.x % 32)) {
      const auto count = static_cast<unsigned>(__popc(same));
      if constexpr (kShared) {
        atomicAdd(table + cell, count);
      } else {
        atomicAdd(counts + cell, static_cast<Count>(count));
      }
    }
  }
  if constexpr (kShared) {
    __syncthreads();
    for (int c = static_cast<int>(threadIdx.x); c < cells; c += kThreads) {
      if (table[c] != 0) atomicAdd(counts + c, static_cast<Count>(table[c]));
    }
  }
}

}  // namespace

template <typename L, typename P>
void LaunchConfusionMatrixAdd(const L* labels, const P* predictions, std::int64_t* counts,
                              std::int64_t* out_of_range, std::int64_t pixels, int classes,
                              std::int64_t ignore, cudaStream_t stream) {
  if (pixels == 0) return;
  int device = 0;
  int processors = 1;
  cudaGetDevice(&device);
  cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, device);
  const std::int64_t wanted = (pixels + kThreads - 1) / kThreads;
  const std::int64_t most = static_cast<std::int64_t>(processors) * kBlocksAProcessor;
  const auto blocks = static_cast<unsigned>(wanted < most ? wanted : most);
  const std::size_t bytes =
      sizeof(unsigned) * static_cast<std::size_t>(classes) * static_cast<std::size_t>(classes);
  auto* const cells = reinterpret_cast<Count*>(counts);
  auto* const noted = reinterpret_cast<Count*>(out_of_range);
  if (bytes <= kSharedBytes) {
    Launch(CountPixels<L, P, true>, blocks, kThreads, bytes, stream, labels, predictions, cells,
           noted, pixels, classes, ignore);
  } else {
    Launch(CountPixels<L, P, false>, blocks, kThreads, 0, stream, labels, predictions, cells, noted,
           pixels, classes, ignore);
  }
}

#define M3L_INSTANTIATE(L, P)                                                                    \
  template void LaunchConfusionMatrixAdd<L, P>(const L*, const P*, std::int64_t*, std::int64_t*, \
                                               std::int64_t, int, std::int64_t, cudaStream_t);
M3L_INSTANTIATE(std::uint8_t, std::uint8_t)
M3L_INSTANTIATE(std::uint8_t, std::int64_t)
M3L_INSTANTIATE(std::int64_t, std::uint8_t)
M3L_INSTANTIATE(std::int64_t, std::int64_t)
#undef M3L_INSTANTIATE

}  // namespace m3l::cuda
