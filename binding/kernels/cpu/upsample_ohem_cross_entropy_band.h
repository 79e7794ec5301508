// The losses of one head on a band of one sample's rows, tile by tile of columns. All that a tile
// needs (K classes × kTile columns, a few times) stays in the first-level cache: the logits of two
// low rows upsampled along x, the softmax of one output row, and the gradients by those two rows,
// which are brought down along x once per low row and not once per output row.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <utility>

#include "bilinear.h"
#include "vector.h"

namespace m3l {

template <typename T>
constexpr int kTile = 128 / sizeof(T);

/** Above every probability: void pixels', so that they are never kept. */
template <typename T>
constexpr T kVoidProbability = 2;

/** Elements that a band works in: seven tiles of all classes. */
template <typename T>
constexpr std::int64_t kScratch(std::int64_t classes) {
  return 7 * classes * kTile<T>;
}

struct LossSums {
  double loss = 0;
  double pseudo_loss = 0;
  std::int64_t kept = 0;
  std::int64_t pseudo_counted = 0;

  LossSums& operator+=(const LossSums& other) {
    loss += other.loss;
    pseudo_loss += other.pseudo_loss;
    kept += other.kept;
    pseudo_counted += other.pseudo_counted;
    return *this;
  }
};

template <typename T>
struct LossBand {
  const BilinearAxis<T>* rows;
  const BilinearColumns<T, kTile<T>>* columns;
  std::int64_t classes, low_height, low_width;
  /** Output columns, up to a multiple of the tile's. */
  std::int64_t pitch;
  /** Output rows of the band. */
  std::int64_t begin, end;
  /** The sample's [K][h][w]. */
  const T* logits;
  /** True and pseudo labels, [H][pitch]: a class, or −1 for void; null: none. */
  const std::int32_t* labels[2];
  /** [H][pitch]: probability of the true class; written, or read where `above_threshold`. */
  T* probabilities;
  T threshold;
  T cut;
  /** Whether those in (threshold, cut] are counted, and not those up to the threshold. */
  bool above_threshold;
  /** Of the supervised and of the pseudo loss, [K][h][w], added to; null where none is wanted. */
  T* gradients[2];
  /** Two [K][w]: where the gradients by the low row after the band's last go; null: as all. */
  T* seam;
};

/** Labels of `count` pixels as a band takes them; whether all were a class or void. */
M3L_VECTORISED inline bool ReadLabels(const std::int64_t* __restrict labels, std::int64_t count,
                                      std::int64_t ignore, std::int64_t classes,
                                      std::int32_t* __restrict out) {
  std::int64_t wrong = 0;
  for (std::int64_t x = 0; x < count; ++x) {
    const std::int64_t label = labels[x];
    const bool counted = label != ignore;
    const bool inside = static_cast<std::uint64_t>(label) < static_cast<std::uint64_t>(classes);
    wrong |= counted && !inside ? 1 : 0;
    out[x] = counted && inside ? static_cast<std::int32_t>(label) : -1;
  }
  return wrong == 0;
}

/** Adds weight · (softmax − one-hot label) of the pixels with `share` 1 to both low rows. */
template <typename T, int kTile>
inline void AddGradient(const T* __restrict softmax, const T* __restrict inverse_sum,
                        const std::int32_t* __restrict label, const T* __restrict share,
                        std::int64_t classes, T top_weight, T bottom_weight, T* __restrict top,
                        T* __restrict bottom) {
  T factor[kTile];
  for (int x = 0; x < kTile; ++x) {
    factor[x] = share[x] * inverse_sum[x];
  }
  for (std::int64_t k = 0; k < classes; ++k, softmax += kTile, top += kTile, bottom += kTile) {
    const auto of = static_cast<std::int32_t>(k);
    for (int x = 0; x < kTile; ++x) {
      const T mine = share[x];
      const T g = softmax[x] * factor[x] - (label[x] == of ? mine : T(0));
      top[x] += top_weight * g;
      bottom[x] += bottom_weight * g;
    }
  }
}

template <typename T>
M3L_VECTORISED void RunLossBand(const LossBand<T>& band, T* __restrict scratch, LossSums& sums) {
  constexpr int kN = kTile<T>;
  const std::int64_t classes = band.classes;
  const std::int64_t size = classes * kN;
  const std::int64_t plane = band.low_height * band.low_width;
  T* __restrict softmax = scratch;
  T* top = scratch + size;
  T* bottom = top + size;
  // Of the supervised and of the pseudo loss, by the upper and by the lower of the two low rows.
  T* upper[2] = {bottom + size, bottom + 2 * size};
  T* lower[2] = {bottom + 3 * size, bottom + 4 * size};
  T* const* const gradients = band.gradients;
  // Of the rows between two low rows in T, of all in double.
  T row_sums[2][kN] = {};
  double loss_sums[2][kN] = {};
  std::int32_t counts[2][kN] = {};
  const auto add_row_sums = [&] {
    for (int kind = 0; kind < 2; ++kind) {
      for (int x = 0; x < kN; ++x) {
        loss_sums[kind][x] += static_cast<double>(row_sums[kind][x]);
        row_sums[kind][x] = 0;
      }
    }
  };

  for (std::int64_t left = 0; left < band.pitch; left += kN) {
    const auto upsample = [&](std::int64_t row, T* out) {
      band.columns->Upsample(left, band.logits + row * band.low_width, plane, classes, out);
    };
    std::int64_t row = -1;
    std::int64_t row_after = -1;
    const auto bring_down = [&](int kind, const T* from, T* to, std::int64_t stride) {
      if (gradients[kind] == nullptr) {
        return;
      }
      band.columns->UpsampleTransposed(left, from, stride, classes, to);
    };
    const auto bring_upper_down = [&] {
      for (int kind = 0; kind < 2; ++kind) {
        bring_down(kind, upper[kind], gradients[kind] + row * band.low_width, plane);
      }
    };
    const auto bring_lower_down = [&](bool at_seam) {
      for (int kind = 0; kind < 2; ++kind) {
        if (at_seam) {
          T* seam = band.seam + kind * classes * band.low_width;
          bring_down(kind, lower[kind], seam, band.low_width);
        } else {
          bring_down(kind, lower[kind], gradients[kind] + row_after * band.low_width, plane);
        }
      }
    };

    for (std::int64_t y = band.begin; y < band.end; ++y) {
      T share[2][kN];
      T* __restrict probabilities = band.probabilities + (y * band.pitch + left);
      if (band.above_threshold) {
        int any = 0;
        for (int x = 0; x < kN; ++x) {
          const bool kept = probabilities[x] > band.threshold && probabilities[x] <= band.cut;
          share[0][x] = kept ? T(1) : T(0);
          any |= static_cast<int>(kept);
        }
        if (any == 0) {
          continue;
        }
      }

      if (const std::int64_t wanted = band.rows->index[y]; wanted != row) {
        const bool follows = row >= 0 && wanted == row_after;
        if (row >= 0) {
          add_row_sums();
          bring_upper_down();
          if (!follows) {
            bring_lower_down(false);
          }
        }
        for (int kind = 0; kind < 2; ++kind) {
          if (gradients[kind] == nullptr) {
            continue;
          }
          if (follows) {
            std::swap(upper[kind], lower[kind]);
          } else {
            std::fill_n(upper[kind], size, T(0));
          }
          std::fill_n(lower[kind], size, T(0));
        }
        if (follows) {
          std::swap(top, bottom);
        } else {
          upsample(wanted, top);
        }
        row = wanted;
        row_after = band.rows->next[y];
        upsample(row_after, bottom);
      }
      const T lower_weight = band.rows->weight[y];
      const T upper_weight = T(1) - lower_weight;

      const std::int32_t* labels[2];
      for (int kind = 0; kind < 2; ++kind) {
        const auto* of_sample = band.labels[kind];
        labels[kind] = of_sample == nullptr ? nullptr : of_sample + (y * band.pitch + left);
      }

      T largest[kN];
      T picked[2][kN] = {};
      for (int x = 0; x < kN; ++x) {
        largest[x] = -std::numeric_limits<T>::infinity();
      }
      for (std::int64_t k = 0; k < classes; ++k) {
        const T* __restrict a = top + k * kN;
        const T* __restrict b = bottom + k * kN;
        T* __restrict z = softmax + k * kN;
        for (int x = 0; x < kN; ++x) {
          z[x] = upper_weight * a[x] + lower_weight * b[x];
          largest[x] = z[x] > largest[x] ? z[x] : largest[x];
        }
      }
      for (int kind = 0; kind < 2; ++kind) {
        if (labels[kind] == nullptr) {
          continue;
        }
        for (std::int64_t k = 0; k < classes; ++k) {
          const T* __restrict z = softmax + k * kN;
          const auto of = static_cast<std::int32_t>(k);
          for (int x = 0; x < kN; ++x) {
            const T here = z[x];
            const T before = picked[kind][x];
            picked[kind][x] = labels[kind][x] == of ? here : before;
          }
        }
      }
      T sum[kN] = {};
      for (std::int64_t k = 0; k < classes; ++k) {
        T* __restrict z = softmax + k * kN;
        for (int x = 0; x < kN; ++x) {
          z[x] = ExpOfNegative(z[x] - largest[x]);
          sum[x] += z[x];
        }
      }
      T inverse[kN];
      T log_sum[kN];
      for (int x = 0; x < kN; ++x) {
        inverse[x] = T(1) / sum[x];
        log_sum[x] = Log(sum[x]);
      }

      for (int kind = 0; kind < 2; ++kind) {
        if (labels[kind] == nullptr) {
          continue;
        }
        T losses[kN];
        for (int x = 0; x < kN; ++x) {
          losses[x] = log_sum[x] + (largest[x] - picked[kind][x]);
        }
        if (kind == 1) {
          for (int x = 0; x < kN; ++x) {
            share[1][x] = labels[1][x] >= 0 ? T(1) : T(0);
          }
        } else if (!band.above_threshold) {
          for (int x = 0; x < kN; ++x) {
            const T p = ExpOfNegative(-losses[x]);
            probabilities[x] = labels[0][x] >= 0 ? p : kVoidProbability<T>;
            // "Not above" rather than "at most": a NaN is kept, and the loss shows it.
            share[0][x] = probabilities[x] > band.threshold ? T(0) : T(1);
          }
        }
        std::int32_t any = 0;
        for (int x = 0; x < kN; ++x) {
          const bool kept = share[kind][x] != 0;
          row_sums[kind][x] += kept ? losses[x] : T(0);
          counts[kind][x] += static_cast<std::int32_t>(kept);
          any |= static_cast<std::int32_t>(kept);
        }
        if (gradients[kind] == nullptr || any == 0) {
          continue;
        }
        AddGradient<T, kN>(softmax, inverse, labels[kind], share[kind], classes, upper_weight,
                           lower_weight, upper[kind], lower[kind]);
      }
    }
    if (row >= 0) {
      bring_upper_down();
      bring_lower_down(band.seam != nullptr && row_after == band.rows->next[band.end - 1]);
    }
  }
  add_row_sums();
  for (int x = 0; x < kN; ++x) {
    sums.loss += loss_sums[0][x];
    sums.pseudo_loss += loss_sums[1][x];
    sums.kept += counts[0][x];
    sums.pseudo_counted += counts[1][x];
  }
}

}  // namespace m3l
