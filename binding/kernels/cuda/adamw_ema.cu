#include "adamw_ema.cuh"
#include "multi_tensor.cuh"

namespace m3l::cuda {
namespace {

template <typename Acc>
struct Coefficients {
  Acc decay;
  Acc gradient_share;
  Acc beta2;
  Acc square_share;
  Acc bias_correction2_sqrt;
  Acc eps;
  Acc step_size;
  Acc student_share;
};

template <typename T>
__device__ inline Coefficients<ComputesIn<T>> CoefficientsOf(const AdamwEntry<T>& entry,
                                                             const AdamwShared& shared) {
  using Acc = ComputesIn<T>;
  double lr = shared.lr;
  double step_size = entry.step_size;
  double correction = entry.bias_correction2_sqrt;
  double ema_factor = shared.ema_factor;
  if (shared.dynamic != nullptr) {
    lr = shared.dynamic[0];
    step_size = lr / shared.dynamic[1];
    correction = sqrt(shared.dynamic[2]);
    ema_factor = shared.dynamic[3];
  }
  return {static_cast<Acc>(1 - lr * shared.weight_decay),
          static_cast<Acc>(1 - shared.beta1),
          static_cast<Acc>(shared.beta2),
          static_cast<Acc>(1 - shared.beta2),
          static_cast<Acc>(correction),
          static_cast<Acc>(shared.eps),
          static_cast<Acc>(step_size),
          static_cast<Acc>(1 - ema_factor)};
}

/** As the CPU's, operation by operation. */
template <typename T, typename Acc>
__device__ inline void Step(T& parameter, const T& gradient, T& exp_avg, T& exp_avg_sq,
                            const Coefficients<Acc>& c) {
  const auto g = static_cast<Acc>(gradient);
  const auto m = static_cast<Acc>(exp_avg);
  const Acc mean = m + c.gradient_share * (g - m);
  const Acc square = static_cast<Acc>(exp_avg_sq) * c.beta2 + c.square_share * g * g;
  const Acc root = sqrt(square) / c.bias_correction2_sqrt + c.eps;
  exp_avg = static_cast<T>(mean);
  exp_avg_sq = static_cast<T>(square);
  parameter = static_cast<T>(static_cast<Acc>(parameter) * c.decay - c.step_size * mean / root);
}

template <typename T>
__device__ inline Vector<T> Load(const T* from) {
  return *reinterpret_cast<const Vector<T>*>(from);
}

template <typename T>
__device__ inline void Store(T* to, const Vector<T>& vector) {
  *reinterpret_cast<Vector<T>*>(to) = vector;
}

// Memory-bound: five reads and four writes of each element, each once. 256 threads × at most 64
// registers (five vectors of 16 bytes hold 20 of them), no shared memory: 4 blocks an SM at least,
// so 1,024 threads with five 16-byte loads each under way, 80 KB an SM: several times what hides
// the memory's latency.
template <typename T>
__global__ void __launch_bounds__(kThreads, 4)
    AdamwEmaKernel(const __grid_constant__ Table<AdamwEntry<T>> table, const AdamwShared shared) {
  using Acc = ComputesIn<T>;
  const Place place = PlaceOfBlock<T>(table);
  const AdamwEntry<T>& entry = table.entries[place.entry];
  const Coefficients<Acc> c = CoefficientsOf(entry, shared);
  const bool averages = entry.teacher != nullptr;
  const auto average = [&](T& teacher, const T& parameter) {
    teacher = static_cast<T>(
        Average(static_cast<Acc>(teacher), static_cast<Acc>(parameter), c.student_share));
  };
  const std::int64_t end = min(entry.size, place.first + kChunk<T>);
  std::int64_t tail = place.first;
  if (AllAligned(entry.parameter, entry.gradient, entry.exp_avg, entry.exp_avg_sq, entry.teacher)) {
    const std::int64_t vectors = (end - place.first) / kVector<T>;
    for (std::int64_t i = threadIdx.x; i < vectors; i += kThreads) {
      const std::int64_t at = place.first + i * kVector<T>;
      auto parameter = Load(entry.parameter + at);
      const auto gradient = Load(entry.gradient + at);
      auto exp_avg = Load(entry.exp_avg + at);
      auto exp_avg_sq = Load(entry.exp_avg_sq + at);
      Vector<T> teacher{};
      if (averages) {
        teacher = Load(entry.teacher + at);
      }
#pragma unroll
      for (int k = 0; k < kVector<T>; ++k) {
        Step(parameter.values[k], gradient.values[k], exp_avg.values[k], exp_avg_sq.values[k], c);
        average(teacher.values[k], parameter.values[k]);
      }
      Store(entry.parameter + at, parameter);
      Store(entry.exp_avg + at, exp_avg);
      Store(entry.exp_avg_sq + at, exp_avg_sq);
      if (averages) {
        Store(entry.teacher + at, teacher);
      }
    }
    tail += vectors * kVector<T>;
  }
  for (std::int64_t i = tail + threadIdx.x; i < end; i += kThreads) {
    Step(entry.parameter[i], entry.gradient[i], entry.exp_avg[i], entry.exp_avg_sq[i], c);
    if (averages) {
      average(entry.teacher[i], entry.parameter[i]);
    }
  }
}

}  // namespace

template <typename T>
void LaunchAdamwEma(const AdamwEntry<T>* entries, int count, const AdamwShared& shared,
                    cudaStream_t stream) {
  ForEachTable<T>(entries, count, [&](const Table<AdamwEntry<T>>& table, unsigned blocks) {
    Launch(AdamwEmaKernel<T>, blocks, kThreads, 0, stream, table, shared);
  });
}

template void LaunchAdamwEma(const AdamwEntry<float>*, int, const AdamwShared&, cudaStream_t);
template void LaunchAdamwEma(const AdamwEntry<double>*, int, const AdamwShared&, cudaStream_t);
template void LaunchAdamwEma(const AdamwEntry<__half>*, int, const AdamwShared&, cudaStream_t);
template void LaunchAdamwEma(const AdamwEntry<__nv_bfloat16>*, int, const AdamwShared&,
                             cudaStream_t);

}  // namespace m3l::cuda
