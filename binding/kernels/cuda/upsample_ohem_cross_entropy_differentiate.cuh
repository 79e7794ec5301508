// The derivatives of the losses by the low-resolution logits.
#pragma once

#include "upsample_ohem_cross_entropy_state.cuh"

namespace m3l::cuda {

constexpr int kColumnThreads = 128;
/** Classes whose softmax is computed at once: what depends on the pixel alone is read and computed
 * once for them, 90 instructions beside 6 for each. */
template <typename T>
constexpr int kClassesAtOnce = sizeof(T) == 8 ? 8 : 16;
/** Elements of shared memory for a value of each thread: columns at a distance of the usual 4 lie
 * in other banks. */
constexpr int kColumnSlots = kColumnThreads + kColumnThreads / 32;

__device__ __forceinline__ int ColumnSlot(int column) { return column + column / 32; }

/** The power whose exponent is a difference of `Exponent`s: the exponential. */
__device__ __forceinline__ float Exponent(float logit) { return logit * 1.44269504F; }
__device__ __forceinline__ double Exponent(double logit) { return logit; }
__device__ __forceinline__ float PowerOf(float exponent) { return PowerOf2(exponent); }
__device__ __forceinline__ double PowerOf(double exponent) { return exp(exponent); }

/** What a block works on: a stretch of one low row of a sample and head. */
template <typename T>
struct Stretch {
  int slot;
  int sample;
  int head;
  int low_row;
  int first_cell;
  int cells;
  /** Of the head's logits, and of its sample's pixels; null where there are none. */
  const T* logits;
  const T* log_sums;
  const T* kept;
  const std::int64_t* labels;
  const std::int64_t* pseudo;

  __device__ __forceinline__ Stretch(const UpsampleLoss<T>& loss, int cells_a_block)
      : slot(static_cast<int>(blockIdx.z) / loss.samples),
        sample(static_cast<int>(blockIdx.z) % loss.samples),
        head(loss.differentiable[slot]),
        low_row(static_cast<int>(blockIdx.y)),
        first_cell(static_cast<int>(blockIdx.x) * cells_a_block),
        cells(min(cells_a_block, loss.low_width - first_cell)) {
    const std::int64_t pixels = static_cast<std::int64_t>(loss.height) * loss.width;
    const std::int64_t plane = static_cast<std::int64_t>(loss.low_height) * loss.low_width;
    const bool supervised = sample < loss.labelled;
    const auto of = static_cast<std::int64_t>(head);
    logits = loss.logits[head] + sample * loss.classes * plane;
    log_sums = loss.log_sums + (of * loss.samples + sample) * pixels;
    kept = supervised ? loss.kept + (of * loss.labelled + sample) * pixels : nullptr;
    labels = supervised ? loss.labels + sample * pixels : nullptr;
    pseudo = loss.pseudo != nullptr ? loss.pseudo + sample * pixels : nullptr;
  }
};

/** Of the classes from `first_class` on, the exponents of one low row in a column between two low
 * columns; 0 beyond the last class. */
template <typename T>
__device__ __forceinline__ void LoadExponents(const UpsampleLoss<T>& loss, const T* logits,
                                              int first_class, int low_row,
                                              const BilinearPoint<T>& column,
                                              T (&to)[kClassesAtOnce<T>]) {
  const std::int64_t plane = static_cast<std::int64_t>(loss.low_height) * loss.low_width;
  constexpr int kAtOnce = kClassesAtOnce<T>;
  const T* const row =
      logits + first_class * plane + static_cast<std::int64_t>(low_row) * loss.low_width;
#pragma unroll
  for (int c = 0; c < kAtOnce; ++c) {
    to[c] = 0;
    if (first_class + c >= loss.classes) continue;
    const T* const from = row + c * plane;
    to[c] = Exponent((T(1) - column.weight) * __ldg(from + column.index) +
                     column.weight * __ldg(from + column.next));
  }
}

/**
 * A block takes a stretch of one low row. Its threads each take an output column, sum over the rows
 * that lie at the low row (their softmax is computed here again, from the log-sum-exp), and leave
 * it in shared memory, where the columns that lie at each low pixel are summed. Every sum has one
 * owner: no atomics. Each softmax is computed twice, for the low rows above and below.
 *
 * A pixel's 24 bytes at most are read for every 16 classes; the logits of a column, between its two
 * low columns, once for all rows between two low rows. 128 threads, 122 registers, 18 KiB of shared
 * memory: 4 blocks an SM, 16 warps.
 */
template <typename T>
__global__ void __launch_bounds__(kColumnThreads)
    DifferentiateRow(UpsampleLoss<T> loss, BilinearAxis<T> rows, BilinearAxis<T> columns,
                     int cells_a_block) {
  constexpr int kAtOnce = kClassesAtOnce<T>;
  // Of labels, then of pseudo labels.
  __shared__ T sums[2][kAtOnce][kColumnSlots];
  // Of a column: what the low column before it has of it, and the one after it.
  __shared__ T shares[2][kColumnSlots];
  // Where the columns begin that lie after the low columns from the one before the first on.
  __shared__ int begins[kColumnThreads + 2];
  const Stretch<T> at(loss, cells_a_block);
  const int thread = static_cast<int>(threadIdx.x);
  const int slot = ColumnSlot(thread);
  for (int i = thread; i < at.cells + 2; i += kColumnThreads) {
    begins[i] = columns.FirstFrom(at.first_cell - 1 + i);
  }
  __syncthreads();
  const int column_begin = begins[0];
  const int column_end = begins[at.cells + 1];
  const int row_begin = rows.FirstFrom(at.low_row - 1);
  const int row_middle = rows.FirstFrom(at.low_row);
  const int row_end = rows.FirstFrom(at.low_row + 1);
  const HeadState<T>& state = State<T>(loss).heads[at.head];
  const std::int64_t plane = static_cast<std::int64_t>(loss.low_height) * loss.low_width;

  for (int first_class = 0; first_class < loss.classes; first_class += kAtOnce) {
    const int classes = min(kAtOnce, loss.classes - first_class);
    for (int from = column_begin; from < column_end; from += kColumnThreads) {
      const int x = from + thread;
      if (x < column_end) {
        const auto column = columns.At(x);
        shares[0][slot] = column.WeightOf(column.index);
        shares[1][slot] = column.weight;
        T found[2][kAtOnce] = {};
#pragma unroll
        for (int c = 0; c < kAtOnce; ++c) sums[0][c][slot] = sums[1][c][slot] = 0;
        T before[kAtOnce];
        T here[kAtOnce];
        const auto load = [&](int low_row, T(&to)[kAtOnce]) {
          LoadExponents(loss, at.logits, first_class, low_row, column, to);
        };
        // Of the rows between two low rows, of which one is this block's.
        const auto add = [&](int begin, int end, const T(&above)[kAtOnce],
                             const T(&below)[kAtOnce]) {
          for (int y = begin; y < end; ++y) {
            const auto row = rows.At(y);
            const T weight = row.WeightOf(at.low_row);
            const std::int64_t pixel = static_cast<std::int64_t>(y) * loss.width + x;
            const T supervised = at.kept != nullptr ? weight * at.kept[pixel] : T(0);
            T taught = 0;
            if (at.pseudo != nullptr) {
              const std::int64_t label = at.pseudo[pixel];
              if (label != loss.ignore) taught = weight;
              const std::int64_t c = label - first_class;
              if (c >= 0 && c < kAtOnce) sums[1][c][slot] -= taught;
            }
            if (supervised != T(0)) {
              const std::int64_t c = at.labels[pixel] - first_class;
              if (c >= 0 && c < kAtOnce) sums[0][c][slot] -= supervised;
            } else if (taught == T(0)) {
              continue;
            }
            const T log_sum = Exponent(at.log_sums[pixel]);
            T softmax[kAtOnce];
#pragma unroll
            for (int c = 0; c < kAtOnce; ++c) {
              softmax[c] =
                  PowerOf((T(1) - row.weight) * above[c] + row.weight * below[c] - log_sum);
            }
            // What is not finite must not spread from a pixel that does not count.
            if (supervised != T(0)) {
#pragma unroll
              for (int c = 0; c < kAtOnce; ++c) found[0][c] += supervised * softmax[c];
            }
            if (taught != T(0)) {
#pragma unroll
              for (int c = 0; c < kAtOnce; ++c) found[1][c] += taught * softmax[c];
            }
          }
        };
        load(at.low_row, here);
        if (row_begin < row_middle) {
          load(at.low_row - 1, before);
          add(row_begin, row_middle, before, here);
        }
        auto& after = before;
        load(min(at.low_row + 1, loss.low_height - 1), after);
        add(row_middle, row_end, here, after);
#pragma unroll
        for (int c = 0; c < kAtOnce; ++c) {
          sums[0][c][slot] += found[0][c];
          sums[1][c][slot] += found[1][c];
        }
      }
      __syncthreads();
      for (int item = thread; item < 2 * classes * at.cells; item += kColumnThreads) {
        const int cell = item % at.cells;
        const int c = item / at.cells % classes;
        const int kind = item / at.cells / classes;
        if (kind == 0 ? at.labels == nullptr : at.pseudo == nullptr) continue;
        const int middle = begins[cell + 1];
        const int end = min(begins[cell + 2], from + kColumnThreads);
        T total = 0;
        for (int i = max(begins[cell], from); i < end; ++i) {
          const int place = ColumnSlot(i - from);
          total += shares[i < middle ? 1 : 0][place] * sums[kind][c][place];
        }
        const std::int64_t of = kind == 0
                                    ? static_cast<std::int64_t>(at.slot) * loss.labelled + at.sample
                                    : static_cast<std::int64_t>(at.slot) * loss.samples + at.sample;
        T* const to = (kind == 0 ? loss.derivatives : loss.pseudo_derivatives) +
                      (of * loss.classes + first_class + c) * plane +
                      static_cast<std::int64_t>(at.low_row) * loss.low_width + at.first_cell + cell;
        const T share = kind == 0 ? state.share : state.pseudo_share;
        // Where a low pixel has more columns than there are threads, it is this thread's each time.
        *to = (from == column_begin ? T(0) : *to) + total * share;
      }
      __syncthreads();
    }
  }
}

template <typename T>
void LaunchDifferentiate(const UpsampleLoss<T>& loss, const BilinearAxis<T>& rows,
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

}  // namespace m3l::cuda
