// The losses, in order: each pixel's log-sum-exp and loss; their sums; where the threshold keeps
// too few pixels of a head, a radix select of the min_kept-th smallest probability (on the device,
// since to ask whether it is needed would stop the host: without need its kernels return at once);
// which pixels are kept; the scalars; the derivatives. Sums are taken in a fixed order, and only
// integers by atomics: the same input gives the same bits.
#include "upsample_ohem_cross_entropy.cuh"
#include "upsample_ohem_cross_entropy_differentiate.cuh"
#include "upsample_ohem_cross_entropy_select.cuh"
#include "upsample_ohem_cross_entropy_state.cuh"

namespace m3l::cuda {
namespace {

/** Logits that a pixel's softmax takes at once: each is interpolated once. */
constexpr int kLogitsAtOnce = 4;

/** The largest of a pixel's logits, and the sum of the exponentials of their distances to it. */
template <typename T>
__device__ __forceinline__ void SumOfPowers(const Interpolation<T>& at, int classes, T& largest,
                                            T& sum) {
  auto cursor = at.From(0);
  largest = at.Next(cursor);
  sum = 1;
  int k = 1;
  for (; k + kLogitsAtOnce <= classes; k += kLogitsAtOnce) {
    T logits[kLogitsAtOnce];
    T next = largest;
#pragma unroll
    for (int i = 0; i < kLogitsAtOnce; ++i) {
      logits[i] = at.Next(cursor);
      next = max(next, logits[i]);
    }
    sum *= exp(largest - next);
    largest = next;
#pragma unroll
    for (int i = 0; i < kLogitsAtOnce; ++i) sum += exp(logits[i] - largest);
  }
#pragma unroll 1
  for (; k < classes; ++k) {
    const T logit = at.Next(cursor);
    const T next = max(largest, logit);
    sum = sum * exp(largest - next) + exp(logit - next);
    largest = next;
  }
}

// Low logits come from the first-level cache, where 16 pixels share each; to memory go 4 to 8 bytes
// a pixel and head, coalesced.
template <typename T>
__global__ void __launch_bounds__(kThreads)
    LossOfPixels(UpsampleLoss<T> loss, BilinearAxis<T> rows, BilinearAxis<T> columns) {
  const int pixels = loss.height * loss.width;
  const int sample = static_cast<int>(blockIdx.y);
  const int head = static_cast<int>(blockIdx.z);
  PixelSums mine{};
  const auto loss_of_pixel = [&](int pixel) {
    const Interpolation<T> at(loss, head, sample, rows.At(pixel / loss.width),
                              columns.At(pixel % loss.width));
    T largest;
    T sum;
    SumOfPowers(at, loss.classes, largest, sum);
    const T log_sum = log(sum);
    const auto place = static_cast<std::int64_t>(head) * loss.samples + sample;
    loss.log_sums[place * pixels + pixel] = largest + log_sum;
    const auto loss_of = [&](std::int64_t label, bool is_pseudo) {
      if (label < 0 || label >= loss.classes) {
        WrongLabel& wrong = *State<T>(loss).wrong;
        if (atomicExch(&wrong.seen, 1U) == 0) {
          wrong.label = label;
          wrong.pseudo = is_pseudo;
        }
        return static_cast<T>(nanf(""));
      }
      const T value = log_sum + (largest - at(static_cast<int>(label)));
      // Below 0 by rounding it would pass for void.
      return value < T(0) ? T(0) : value;
    };
    if (sample < loss.labelled) {
      const std::int64_t label = loss.labels[static_cast<std::int64_t>(sample) * pixels + pixel];
      const bool counted = label != loss.ignore;
      const T value = counted ? loss_of(label, false) : T(-1);
      loss.kept[(static_cast<std::int64_t>(head) * loss.labelled + sample) * pixels + pixel] =
          value;
      // "Not above" rather than "at most": a NaN is kept, and the loss shows it.
      if (counted && !(exp(-value) > loss.threshold)) {
        mine.loss += value;
        mine.kept += 1;
      }
    }
    if (loss.pseudo != nullptr) {
      const std::int64_t label = loss.pseudo[static_cast<std::int64_t>(sample) * pixels + pixel];
      if (label != loss.ignore) {
        mine.pseudo_loss += loss_of(label, true);
        mine.pseudo_counted += 1;
      }
    }
  };
  // Wider than the sum: the last block may end beyond 2^31.
  std::int64_t pixel = static_cast<std::int64_t>(blockIdx.x) * kPixelsABlock + threadIdx.x;
  for (int i = 0; i < kPixelsAThread && pixel < pixels; ++i, pixel += kThreads) {
    loss_of_pixel(static_cast<int>(pixel));
  }
  const PixelSums block = BlockSum(mine);
  if (threadIdx.x == 0) {
    const auto slot = (static_cast<std::int64_t>(head) * gridDim.y + sample) * gridDim.x;
    State<T>(loss).parts[slot + blockIdx.x] = block;
  }
}

/** A block a head: the sums of its parts, and whether it needs a selection. */
template <typename T>
__global__ void __launch_bounds__(kThreads) AddParts(UpsampleLoss<T> loss, int parts) {
  const State<T> state(loss);
  const int head = static_cast<int>(blockIdx.x);
  const PixelSums total = AddUp(state.parts + static_cast<std::int64_t>(head) * parts, parts);
  if (threadIdx.x != 0) return;
  state.heads[head].sums = total;
  state.heads[head].prefix = 0;
  const auto missing = loss.min_kept - static_cast<std::int64_t>(total.kept);
  state.heads[head].missing = missing;
  state.heads[head].selecting = loss.labelled > 0 && missing > 0;
  state.heads[head].cut = loss.threshold;
}

/** Which pixels are kept, 1 or 0 in place of their losses; sums of those above the threshold. */
template <typename T>
__global__ void __launch_bounds__(kThreads) KeepPixels(UpsampleLoss<T> loss) {
  const State<T> state(loss);
  const int head = static_cast<int>(blockIdx.y);
  const std::int64_t count = static_cast<std::int64_t>(loss.labelled) * loss.height * loss.width;
  PixelSums mine{};
  std::int64_t pixel = static_cast<std::int64_t>(blockIdx.x) * kPixelsABlock + threadIdx.x;
  for (int i = 0; i < kPixelsAThread && pixel < count; ++i, pixel += kThreads) {
    T* const place = loss.kept + head * count + pixel;
    const T value = *place;
    const T p = exp(-value);
    const bool counted = !(value < T(0));
    *place = counted && !(p > state.heads[head].cut) ? T(1) : T(0);
    if (counted && p > loss.threshold && p <= state.heads[head].cut) {
      mine.loss += value;
      mine.kept += 1;
    }
  }
  const PixelSums block = BlockSum(mine);
  if (threadIdx.x == 0) {
    state.parts[static_cast<std::int64_t>(head) * gridDim.x + blockIdx.x] = block;
  }
}

/** One block: the two losses, and by what each head's derivatives are divided. */
template <typename T>
__global__ void __launch_bounds__(kThreads) FinishLosses(UpsampleLoss<T> loss, int parts) {
  const State<T> state(loss);
  double total = 0;
  double pseudo_total = 0;
  for (int head = 0; head < loss.heads; ++head) {
    PixelSums sums = AddUp(state.parts + static_cast<std::int64_t>(head) * parts, parts);
    if (threadIdx.x != 0) continue;
    sums += state.heads[head].sums;
    const double heads = loss.heads;
    const double share = 1.0 / (heads * static_cast<double>(max(sums.kept, 1ULL)));
    const double pseudo_share = 1.0 / (heads * static_cast<double>(max(sums.pseudo_counted, 1ULL)));
    state.heads[head].share = static_cast<T>(share);
    state.heads[head].pseudo_share = static_cast<T>(pseudo_share);
    total += sums.loss * share;
    pseudo_total += sums.pseudo_loss * pseudo_share;
  }
  if (threadIdx.x != 0) return;
  *loss.loss = static_cast<T>(total);
  *loss.pseudo_loss = static_cast<T>(pseudo_total);
  if (const WrongLabel& wrong = *state.wrong; wrong.seen != 0) {
    loss.fault->pseudo = wrong.pseudo ? 1 : 0;
    loss.fault->classes = loss.classes;
    loss.fault->label = wrong.label;
    loss.fault->ignore = loss.ignore;
    __threadfence_system();
    loss.fault->seen = 1;
  }
}

}  // namespace

template <typename T>
std::int64_t UpsampleLossScratch(const UpsampleLoss<T>& loss) {
  return State<T>(loss).Bytes(loss);
}

template <typename T>
void LaunchUpsampleLoss(const UpsampleLoss<T>& loss, cudaStream_t stream) {
  const BilinearAxis<T> rows(loss.low_height, loss.height);
  const BilinearAxis<T> columns(loss.low_width, loss.width);
  const auto heads = static_cast<unsigned>(loss.heads);
  const int pixels = loss.height * loss.width;
  const dim3 grid(PixelBlocks(pixels), static_cast<unsigned>(loss.samples), heads);
  if (loss.samples > 0) Launch(LossOfPixels<T>, grid, kThreads, 0, stream, loss, rows, columns);
  Launch(AddParts<T>, heads, kThreads, 0, stream, loss, static_cast<int>(grid.x * grid.y));
  int kept_parts = 0;
  if (loss.labelled > 0) {
    LaunchSelect(loss, stream);
    const unsigned blocks = PixelBlocks(static_cast<std::int64_t>(loss.labelled) * pixels);
    Launch(KeepPixels<T>, dim3(blocks, heads), kThreads, 0, stream, loss);
    kept_parts = static_cast<int>(blocks);
  }
  Launch(FinishLosses<T>, 1, kThreads, 0, stream, loss, kept_parts);
  if (loss.differentiated > 0 && loss.samples > 0) LaunchDifferentiate(loss, rows, columns, stream);
}

#define M3L_INSTANTIATE(T)                                              \
  template std::int64_t UpsampleLossScratch<T>(const UpsampleLoss<T>&); \
  template void LaunchUpsampleLoss<T>(const UpsampleLoss<T>&, cudaStream_t);
M3L_INSTANTIATE(float)
M3L_INSTANTIATE(double)
#undef M3L_INSTANTIATE

}  // namespace m3l::cuda
