// The losses, in order: each pixel's log-sum-exp and loss; their sums; where the threshold keeps
// too few pixels of a head, a radix select of the min_kept-th smallest probability (on the device,
// since to ask whether it is needed would stop the host: without need its kernels return at once);
// which pixels are kept; the scalars; the derivatives. Sums are taken in a fixed order, and only
// integers by atomics: the same input gives the same bits.
#include "upsample_ohem_cross_entropy.cuh"
#include "upsample_ohem_cross_entropy_select.cuh"
#include "upsample_ohem_cross_entropy_state.cuh"

namespace m3l::cuda {
namespace {

// A pixel a thread, 48 registers: 5 blocks of 256, five eighths of an SM's threads. Low
// logits come from the first-level cache, where 16 pixels share each; to memory go 4 to 8 bytes a
// pixel and head, coalesced.
template <typename T>
__global__ void __launch_bounds__(kThreads)
    LossOfPixels(UpsampleLoss<T> loss, BilinearAxis<T> rows, BilinearAxis<T> columns) {
  const int pixels = loss.height * loss.width;
  // Wider than the sum: the last block may end beyond 2^31.
  const auto index = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  const int sample = static_cast<int>(blockIdx.y);
  const int head = static_cast<int>(blockIdx.z);
  PixelSums mine{};
  if (index < pixels) {
    const int pixel = static_cast<int>(index);
    const Interpolation<T> at(loss, head, sample, rows.At(pixel / loss.width),
                              columns.At(pixel % loss.width));
    T largest = at(0);
    for (int k = 1; k < loss.classes; ++k) largest = max(largest, at(k));
    T sum = 0;
    for (int k = 0; k < loss.classes; ++k) sum += exp(at(k) - largest);
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
        mine.loss = value;
        mine.kept = 1;
      }
    }
    if (loss.pseudo != nullptr) {
      const std::int64_t label = loss.pseudo[static_cast<std::int64_t>(sample) * pixels + pixel];
      if (label != loss.ignore) {
        mine.pseudo_loss = loss_of(label, true);
        mine.pseudo_counted = 1;
      }
    }
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
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  PixelSums mine{};
  if (i < count) {
    T* const place = loss.kept + head * count + i;
    const T value = *place;
    const T p = exp(-value);
    const bool counted = !(value < T(0));
    *place = counted && !(p > state.heads[head].cut) ? T(1) : T(0);
    if (counted && p > loss.threshold && p <= state.heads[head].cut) {
      mine.loss = value;
      mine.kept = 1;
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

constexpr int kColumnThreads = 128;

/**
 * Derivatives by a stretch of one low row: a block's threads each take an output column, sum over
 * the rows that lie at the low row (its softmax is computed here again, from the log-sum-exp), and
 * leave it in shared memory, where a thread a low pixel sums the columns that lie at it. Every sum
 * has one owner: no atomics. Each softmax is computed twice, for the low rows above and below.
 *
 * 128 threads, 64 registers, 1 or 2 KiB of shared memory: 8 blocks, half of an SM's threads,
 * with several independent rows under way in each.
 */
template <typename T>
__global__ void __launch_bounds__(kColumnThreads)
    DifferentiateRow(UpsampleLoss<T> loss, BilinearAxis<T> rows, BilinearAxis<T> columns,
                     int cells_a_block) {
  __shared__ T sums[2][kColumnThreads];
  const int thread = static_cast<int>(threadIdx.x);
  const int slot = static_cast<int>(blockIdx.z) / loss.samples;
  const int sample = static_cast<int>(blockIdx.z) % loss.samples;
  const int head = loss.differentiable[slot];
  const HeadState<T>& state = State<T>(loss).heads[head];
  const int low_row = static_cast<int>(blockIdx.y);
  const int first_cell = static_cast<int>(blockIdx.x) * cells_a_block;
  const int cells = min(cells_a_block, loss.low_width - first_cell);
  const std::int64_t pixels = static_cast<std::int64_t>(loss.height) * loss.width;
  const std::int64_t plane = static_cast<std::int64_t>(loss.low_height) * loss.low_width;
  const bool supervised = sample < loss.labelled;
  const bool taught = loss.pseudo != nullptr;
  const std::int64_t* const labels = supervised ? loss.labels + sample * pixels : nullptr;
  const std::int64_t* const pseudo = taught ? loss.pseudo + sample * pixels : nullptr;
  const T* const log_sums =
      loss.log_sums + (static_cast<std::int64_t>(head) * loss.samples + sample) * pixels;
  const T* const kept =
      supervised ? loss.kept + (static_cast<std::int64_t>(head) * loss.labelled + sample) * pixels
                 : nullptr;
  const int row_begin = rows.FirstFrom(low_row - 1);
  const int row_end = rows.FirstFrom(low_row + 1);
  const int column_begin = columns.FirstFrom(first_cell - 1);
  const int column_end = columns.FirstFrom(first_cell + cells);
  // The columns of this thread's low pixel.
  const int cell = first_cell + thread;
  const int cell_begin = thread < cells ? columns.FirstFrom(cell - 1) : 0;
  const int cell_end = thread < cells ? columns.FirstFrom(cell + 1) : 0;

  for (int k = 0; k < loss.classes; ++k) {
    T total = 0;
    T pseudo_total = 0;
    for (int from = column_begin; from < column_end; from += kColumnThreads) {
      const int x = from + thread;
      T sum = 0;
      T pseudo_sum = 0;
      if (x < column_end) {
        const auto column = columns.At(x);
        for (int y = row_begin; y < row_end; ++y) {
          const auto row = rows.At(y);
          const Interpolation<T> at(loss, head, sample, row, column);
          const std::int64_t pixel = static_cast<std::int64_t>(y) * loss.width + x;
          const T weight = row.WeightOf(low_row);
          const T softmax = exp(at(k) - log_sums[pixel]);
          if (supervised) {
            sum += weight * kept[pixel] * (softmax - (labels[pixel] == k ? T(1) : T(0)));
          }
          if (taught && pseudo[pixel] != loss.ignore) {
            pseudo_sum += weight * (softmax - (pseudo[pixel] == k ? T(1) : T(0)));
          }
        }
      }
      sums[0][thread] = sum;
      sums[1][thread] = pseudo_sum;
      __syncthreads();
      const int begin = max(cell_begin, from);
      const int end = min(cell_end, from + kColumnThreads);
      for (int column = begin; column < end; ++column) {
        const T weight = columns.At(column).WeightOf(cell);
        total += weight * sums[0][column - from];
        pseudo_total += weight * sums[1][column - from];
      }
      __syncthreads();
    }
    if (thread >= cells) continue;
    const std::int64_t place =
        k * plane + static_cast<std::int64_t>(low_row) * loss.low_width + cell;
    const std::int64_t size = loss.classes * plane;
    if (supervised) {
      const auto of = static_cast<std::int64_t>(slot) * loss.labelled + sample;
      loss.derivatives[of * size + place] = total * state.share;
    }
    if (taught) {
      const auto of = static_cast<std::int64_t>(slot) * loss.samples + sample;
      loss.pseudo_derivatives[of * size + place] = pseudo_total * state.pseudo_share;
    }
  }
}

template <typename T>
void Differentiate(const UpsampleLoss<T>& loss, const BilinearAxis<T>& rows,
                   const BilinearAxis<T>& columns, cudaStream_t stream) {
  // As many low pixels as have their columns, and one neighbour's, in one round of the threads.
  const double factor = static_cast<double>(loss.width) / loss.low_width;
  const int fitting = static_cast<int>(kColumnThreads / factor) - 2;
  const int cells = fitting < 1 ? 1 : (fitting > kColumnThreads ? kColumnThreads : fitting);
  const dim3 grid(static_cast<unsigned>((loss.low_width + cells - 1) / cells),
                  static_cast<unsigned>(loss.low_height),
                  static_cast<unsigned>(loss.differentiated * loss.samples));
  Launch(DifferentiateRow<T>, grid, kColumnThreads, 0, stream, loss, rows, columns, cells);
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
  const dim3 grid(Blocks(pixels), static_cast<unsigned>(loss.samples), heads);
  if (loss.samples > 0) Launch(LossOfPixels<T>, grid, kThreads, 0, stream, loss, rows, columns);
  Launch(AddParts<T>, heads, kThreads, 0, stream, loss, static_cast<int>(grid.x * grid.y));
  int kept_parts = 0;
  if (loss.labelled > 0) {
    LaunchSelect(loss, stream);
    const unsigned blocks = Blocks(static_cast<std::int64_t>(loss.labelled) * pixels);
    Launch(KeepPixels<T>, dim3(blocks, heads), kThreads, 0, stream, loss);
    kept_parts = static_cast<int>(blocks);
  }
  Launch(FinishLosses<T>, 1, kThreads, 0, stream, loss, kept_parts);
  if (loss.differentiated > 0 && loss.samples > 0) Differentiate(loss, rows, columns, stream);
}

#define M3L_INSTANTIATE(T)                                              \
  template std::int64_t UpsampleLossScratch<T>(const UpsampleLoss<T>&); \
  template void LaunchUpsampleLoss<T>(const UpsampleLoss<T>&, cudaStream_t);
M3L_INSTANTIATE(float)
M3L_INSTANTIATE(double)
#undef M3L_INSTANTIATE

}  // namespace m3l::cuda
