#include "bilinear.cuh"
#include "rows.cuh"
#include "upsample_argmax.cuh"

namespace m3l::cuda {
namespace {

// 256 threads, about 40 registers, no shared memory: 6 blocks, three quarters of an SM's threads.
// The low-resolution logits are read through the first-level cache, where 16 pixels share each of
// them; what goes to memory is the labels, 8 coalesced bytes a thread.
constexpr int kThreads = 256;

template <typename T>
__global__ void __launch_bounds__(kThreads)
    UpsampleArgmaxPixels(const T* __restrict__ logits, const bool* __restrict__ valid,
                         std::int64_t* __restrict__ out, int classes,
                         BilinearAxis<ComputesIn<T>> rows, BilinearAxis<ComputesIn<T>> columns,
                         ComputesIn<T> confidence, std::int64_t ignore) {
  using A = ComputesIn<T>;
  const int pixels = rows.to * columns.to;
  // Wider than the result: the last block may end beyond 2^31.
  const auto index = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (index >= pixels) return;
  const int pixel = static_cast<int>(index);
  const auto sample = static_cast<std::int64_t>(blockIdx.y);
  const auto place = sample * pixels + pixel;
  if (valid != nullptr && !valid[place]) {
    out[place] = ignore;
    return;
  }
  const auto row = rows.At(pixel / columns.to);
  const auto column = columns.At(pixel % columns.to);
  const std::int64_t plane = static_cast<std::int64_t>(rows.from) * columns.from;
  const T* const top =
      logits + sample * classes * plane + static_cast<std::int64_t>(row.index) * columns.from;
  const T* const bottom = top + static_cast<std::int64_t>(row.next - row.index) * columns.from;
  const auto at = [&](int k) {
    const std::int64_t from = k * plane;
    const A above = (A(1) - column.weight) * Widen(top[from + column.index]) +
                    column.weight * Widen(top[from + column.next]);
    const A below = (A(1) - column.weight) * Widen(bottom[from + column.index]) +
                    column.weight * Widen(bottom[from + column.next]);
    return (A(1) - row.weight) * above + row.weight * below;
  };
  A largest = at(0);
  int label = 0;
  for (int k = 1; k < classes; ++k) {
    const A z = at(k);
    // As torch.argmax: the first NaN is above all.
    if (!(z <= largest) && largest == largest) {
      largest = z;
      label = k;
    }
  }
  bool sure = true;
  if (confidence >= A(0)) {
    A sum = 0;
    for (int k = 0; k < classes; ++k) sum += exp(at(k) - largest);
    sure = !(A(1) / sum < confidence);
  }
  out[place] = sure ? label : ignore;
}

}  // namespace

template <typename T>
void LaunchUpsampleArgmax(const T* logits, const bool* valid, std::int64_t* out, int batch,
                          int classes, int low_height, int low_width, int height, int width,
                          double confidence, std::int64_t ignore, cudaStream_t stream) {
  using A = ComputesIn<T>;
  const dim3 grid(
      static_cast<unsigned>((static_cast<std::int64_t>(height) * width + kThreads - 1) / kThreads),
      static_cast<unsigned>(batch));
  Launch(UpsampleArgmaxPixels<T>, grid, kThreads, 0, stream, logits, valid, out, classes,
         BilinearAxis<A>(low_height, height), BilinearAxis<A>(low_width, width),
         static_cast<A>(confidence), ignore);
}

#define M3L_INSTANTIATE(T)                                                                        \
  template void LaunchUpsampleArgmax<T>(const T*, const bool*, std::int64_t*, int, int, int, int, \
                                        int, int, double, std::int64_t, cudaStream_t);
M3L_EACH_TYPE(M3L_INSTANTIATE)
#undef M3L_INSTANTIATE

}  // namespace m3l::cuda
