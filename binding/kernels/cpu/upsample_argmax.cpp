#include "../upsample_argmax.h"

#include <limits>
#include <memory>
#include <utility>

#include "bilinear.h"
#include "vector.h"

namespace m3l {
namespace {

template <typename T>
constexpr int kTile = 128 / sizeof(T);

template <typename T>
struct Labelling {
  const BilinearAxis<T>* rows;
  const BilinearColumns<T, kTile<T>>* columns;
  int64_t classes, low_height, low_width, width;
  int64_t begin, end;
  /** The sample's [K][h][w]. */
  const T* logits;
  /** The sample's [H][W]; null: valid everywhere. */
  const bool* valid;
  bool needs_confidence;
  T confidence;
  int64_t ignore;
  /** The sample's [H][W]. */
  int64_t* out;
};

/** Output rows begin … end of one sample, in tiles of columns as the losses' bands. */
template <typename T>
M3L_VECTORISED void LabelRows(const Labelling<T>& work, T* __restrict scratch) {
  constexpr int kN = kTile<T>;
  const int64_t plane = work.low_height * work.low_width;
  for (int64_t left = 0; left < work.width; left += kN) {
    T* top = scratch;
    T* bottom = scratch + work.classes * kN;
    const auto upsample = [&](int64_t row, T* out) {
      work.columns->Upsample(left, work.logits + row * work.low_width, plane, work.classes, out);
    };
    int64_t row = -1;
    int64_t row_after = -1;
    for (int64_t y = work.begin; y < work.end; ++y) {
      if (const int64_t wanted = work.rows->index[y]; wanted != row) {
        if (row >= 0 && wanted == row_after) {
          std::swap(top, bottom);
        } else {
          upsample(wanted, top);
        }
        row = wanted;
        row_after = work.rows->next[y];
        upsample(row_after, bottom);
      }
      const T lower = work.rows->weight[y];
      const T upper = T(1) - lower;
      T largest[kN];
      int32_t label[kN];
      for (int x = 0; x < kN; ++x) {
        largest[x] = upper * top[x] + lower * bottom[x];
        label[x] = 0;
      }
      for (int64_t k = 1; k < work.classes; ++k) {
        const T* __restrict a = top + k * kN;
        const T* __restrict b = bottom + k * kN;
        const auto of = static_cast<int32_t>(k);
        for (int x = 0; x < kN; ++x) {
          const T z = upper * a[x] + lower * b[x];
          const T best = largest[x];
          const int32_t before = label[x];
          // As torch.argmax: the first NaN is above all.
          const bool above = !(z <= best) & (best == best);
          largest[x] = above ? z : best;
          label[x] = above ? of : before;
        }
      }
      if (work.needs_confidence) {
        T sum[kN] = {};
        for (int64_t k = 0; k < work.classes; ++k) {
          const T* __restrict a = top + k * kN;
          const T* __restrict b = bottom + k * kN;
          for (int x = 0; x < kN; ++x) {
            sum[x] += ExpOfNegative(upper * a[x] + lower * b[x] - largest[x]);
          }
        }
        for (int x = 0; x < kN; ++x) {
          const int32_t before = label[x];
          label[x] = T(1) / sum[x] < work.confidence ? -1 : before;
        }
      }
      const int64_t count = std::min<int64_t>(kN, work.width - left);
      const int64_t place = y * work.width + left;
      int64_t* __restrict out = work.out + place;
      for (int64_t x = 0; x < count; ++x) {
        out[x] = label[x] < 0 ? work.ignore : label[x];
      }
      if (work.valid != nullptr) {
        const bool* __restrict valid = work.valid + place;
        for (int64_t x = 0; x < count; ++x) {
          out[x] = valid[x] ? out[x] : work.ignore;
        }
      }
    }
  }
}

at::Tensor UpsampleArgmaxCpu(const at::Tensor& logits, at::IntArrayRef size,
                             std::optional<double> confidence,
                             const std::optional<at::Tensor>& valid, int64_t ignore_index) {
  CheckUpsampleArgmax(logits, size, valid);
  const auto values =
      logits.to(logits.scalar_type() == at::kDouble ? at::kDouble : at::kFloat).contiguous();
  const auto where = valid && valid->defined() ? valid->contiguous() : at::Tensor();
  const int64_t batch = values.size(0);
  const int64_t classes = values.size(1);
  const int64_t height = size[0];
  const int64_t width = size[1];
  auto out = at::empty({batch, height, width}, values.options().dtype(at::kLong));
  AT_DISPATCH_FLOATING_TYPES(values.scalar_type(), "upsample_argmax", [&] {
    using T = scalar_t;
    const BilinearAxis<T> rows(values.size(2), height);
    const BilinearColumns<T, kTile<T>> columns(values.size(3), width);
    const int64_t grain = std::max<int64_t>(16, kGrain / (classes * width));
    at::parallel_for(0, batch * height, grain, [&](int64_t begin, int64_t end) {
      const auto scratch =
          std::make_unique_for_overwrite<T[]>(static_cast<size_t>(2 * classes * kTile<T>));
      for (int64_t sample = begin / height; sample * height < end; ++sample) {
        const int64_t first = sample * height;
        LabelRows<T>(
            Labelling<T>{
                .rows = &rows,
                .columns = &columns,
                .classes = classes,
                .low_height = values.size(2),
                .low_width = values.size(3),
                .width = width,
                .begin = std::max(begin - first, int64_t{0}),
                .end = std::min(end - first, height),
                .logits =
                    values.const_data_ptr<T>() + sample * classes * values.size(2) * values.size(3),
                .valid = where.defined() ? where.const_data_ptr<bool>() + first * width : nullptr,
                .needs_confidence = confidence.has_value(),
                .confidence = static_cast<T>(confidence.value_or(0)),
                .ignore = ignore_index,
                .out = out.mutable_data_ptr<int64_t>() + first * width,
            },
            scratch.get());
      }
    });
  });
  return out;
}

M3L_KERNELS(CPU, library) { library.impl("upsample_argmax", UpsampleArgmaxCpu); }

}  // namespace
}  // namespace m3l
