#include "ema_update.cuh"
#include "multi_tensor.cuh"

namespace m3l::cuda {
namespace {

// Memory-bound: one read of each list, one write of the teachers. 256 threads × at most 64
// registers, no shared memory: 4 blocks an SM at least, so 1,024 threads with two 16-byte loads
// each under way, 32 KB an SM: more than hides the memory's latency.
template <typename T>
__global__ void __launch_bounds__(kThreads, 4)
    EmaUpdateKernel(const __grid_constant__ Table<EmaEntry<T>> table, EmaFactor factor) {
  using Acc = ComputesIn<T>;
  const auto weight =
      static_cast<Acc>(1 - (factor.dynamic == nullptr ? factor.value : *factor.dynamic));
  const Place place = PlaceOfBlock<T>(table);
  const EmaEntry<T>& entry = table.entries[place.entry];
  const std::int64_t end = min(entry.size, place.first + kChunk<T>);
  std::int64_t tail = place.first;
  if (AllAligned(entry.teacher, entry.student)) {
    const std::int64_t vectors = (end - place.first) / kVector<T>;
    for (std::int64_t i = threadIdx.x; i < vectors; i += kThreads) {
      const std::int64_t at = place.first + i * kVector<T>;
      auto teacher = *reinterpret_cast<const Vector<T>*>(entry.teacher + at);
      const auto student = *reinterpret_cast<const Vector<T>*>(entry.student + at);
#pragma unroll
      for (int k = 0; k < kVector<T>; ++k) {
        teacher.values[k] = static_cast<T>(Average(static_cast<Acc>(teacher.values[k]),
                                                   static_cast<Acc>(student.values[k]), weight));
      }
      *reinterpret_cast<Vector<T>*>(entry.teacher + at) = teacher;
    }
    tail += vectors * kVector<T>;
  }
  for (std::int64_t i = tail + threadIdx.x; i < end; i += kThreads) {
    entry.teacher[i] = static_cast<T>(
        Average(static_cast<Acc>(entry.teacher[i]), static_cast<Acc>(entry.student[i]), weight));
  }
}

}  // namespace

template <typename T>
void LaunchEmaUpdate(const EmaEntry<T>* entries, int count, EmaFactor factor, cudaStream_t stream) {
  ForEachTable<T>(entries, count, [&](const Table<EmaEntry<T>>& table, unsigned blocks) {
    Launch(EmaUpdateKernel<T>, blocks, kThreads, 0, stream, table, factor);
  });
}

template void LaunchEmaUpdate(const EmaEntry<float>*, int, EmaFactor, cudaStream_t);
template void LaunchEmaUpdate(const EmaEntry<double>*, int, EmaFactor, cudaStream_t);
template void LaunchEmaUpdate(const EmaEntry<__half>*, int, EmaFactor, cudaStream_t);
template void LaunchEmaUpdate(const EmaEntry<__nv_bfloat16>*, int, EmaFactor, cudaStream_t);

}  // namespace m3l::cuda
