#include "../upsample_ohem_cross_entropy.h"

#include <array>
#include <atomic>
#include <memory>
#include <numeric>

#include "upsample_ohem_cross_entropy_band.h"

namespace m3l {
namespace {

/** Bands a sample is cut into. Not by the number of threads, so that no sum depends on it. */
constexpr int64_t kUnits = 32;
constexpr int64_t kLeastRows = 16;

/** Output rows where a band begins, ending with the height: never two bands between two low rows.
 */
template <typename T>
std::vector<int64_t> BandStarts(const BilinearAxis<T>& rows, int64_t height, int64_t planes) {
  const int64_t bands = std::max<int64_t>(1, std::min(kUnits / planes, height / kLeastRows));
  std::vector<int64_t> starts{0};
  for (int64_t band = 1; band < bands; ++band) {
    int64_t y = std::max(height * band / bands, starts.back() + 1);
    while (y < height && rows.index[y] == rows.index[y - 1]) {
      ++y;
    }
    if (y >= height) {
      break;
    }
    starts.push_back(y);
  }
  starts.push_back(height);
  return starts;
}

template <typename T>
class UpsampleLoss {
 public:
  UpsampleLoss(const UpsampleLossSizes& sizes, const std::vector<at::Tensor>& logits,
               const at::Tensor& labels, const at::Tensor& pseudo, double threshold,
               int64_t ignore_index, at::IntArrayRef differentiable)
      : sizes_(sizes),
        logits_(logits),
        threshold_(static_cast<T>(threshold)),
        rows_(sizes.low_height, sizes.height),
        columns_(sizes.low_width, sizes.width),
        starts_(BandStarts(rows_, sizes.height, sizes.heads * sizes.batch)),
        slots_(static_cast<size_t>(sizes.heads), -1),
        pitch_(columns_.Pitch()),
        labels_(Labels(labels, "labels", ignore_index)),
        pseudo_(Labels(pseudo, "pseudo", ignore_index)) {
    const auto options = logits[0].options();
    const auto differentiated = static_cast<int64_t>(differentiable.size());
    for (int64_t slot = 0; slot < differentiated; ++slot) {
      slots_[static_cast<size_t>(differentiable[static_cast<size_t>(slot)])] = slot;
    }
    const auto zeros = [&](int64_t samples) {
      return at::zeros({differentiated, samples, sizes.classes, sizes.low_height, sizes.low_width},
                       options);
    };
    derivatives_ = zeros(sizes.labelled);
    pseudo_derivatives_ = zeros(sizes.pseudo ? sizes.batch : 0);
    probabilities_ = std::make_unique_for_overwrite<T[]>(
        static_cast<size_t>(sizes.heads * sizes.labelled * sizes.height * pitch_));
  }

  std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor> Run(int64_t min_kept) {
    const int64_t heads = sizes_.heads;
    std::vector<int64_t> all(static_cast<size_t>(heads));
    std::iota(all.begin(), all.end(), 0);
    std::vector<LossSums> sums(static_cast<size_t>(heads));
    const T everything = std::numeric_limits<T>::infinity();
    Pass(all, sizes_.pseudo ? sizes_.batch : sizes_.labelled,
         std::vector<T>(all.size(), everything), false, sums);
    // Where the threshold keeps too few, a second pass adds the hardest of the others.
    std::vector<int64_t> short_of;
    std::vector<T> cuts;
    for (int64_t head = 0; head < heads; ++head) {
      if (sums[static_cast<size_t>(head)].kept < min_kept) {
        short_of.push_back(head);
        cuts.push_back(Cut(head, min_kept - sums[static_cast<size_t>(head)].kept));
      }
    }
    if (!short_of.empty() && sizes_.labelled > 0) {
      Pass(short_of, sizes_.labelled, cuts, true, sums);
    }
    double loss = 0;
    double pseudo_loss = 0;
    for (int64_t head = 0; head < heads; ++head) {
      const auto& sum = sums[static_cast<size_t>(head)];
      const auto share = [heads](int64_t count) {
        return 1.0 /
               (static_cast<double>(heads) * static_cast<double>(std::max<int64_t>(count, 1)));
      };
      loss += sum.loss * share(sum.kept);
      pseudo_loss += sum.pseudo_loss * share(sum.pseudo_counted);
      if (const int64_t slot = slots_[static_cast<size_t>(head)]; slot >= 0) {
        derivatives_.select(0, slot).mul_(share(sum.kept));
        pseudo_derivatives_.select(0, slot).mul_(share(sum.pseudo_counted));
      }
    }
    const auto options = logits_[0].options();
    return {at::full({}, loss, options), at::full({}, pseudo_loss, options), derivatives_,
            pseudo_derivatives_};
  }

 private:
  /** The k-th smallest probability above the threshold; above all of them where there are fewer. */
  [[nodiscard]] T Cut(int64_t head, int64_t k) const {
    const int64_t count = sizes_.labelled * sizes_.height * pitch_;
    const T* probabilities = probabilities_.get() + head * count;
    std::vector<T> above;
    for (int64_t i = 0; i < count; ++i) {
      const T p = probabilities[i];
      if (p > threshold_ && p < kVoidProbability<T>) {
        above.push_back(p);
      }
    }
    if (k > static_cast<int64_t>(above.size())) {
      return (1 + kVoidProbability<T>) / 2;
    }
    std::nth_element(above.begin(), above.begin() + (k - 1), above.end());
    return above[static_cast<size_t>(k - 1)];
  }

  /** Adds the losses and derivatives of `chosen` heads on the first `samples` samples. */
  void Pass(const std::vector<int64_t>& chosen, int64_t samples, const std::vector<T>& cuts,
            bool above_threshold, std::vector<LossSums>& sums) {
    const auto bands = static_cast<int64_t>(starts_.size()) - 1;
    const int64_t classes = sizes_.classes;
    const int64_t plane = sizes_.low_height * sizes_.low_width;
    const int64_t pixels = sizes_.height * pitch_;
    const int64_t units = static_cast<int64_t>(chosen.size()) * samples * bands;
    // What a band adds to the low row that the next band begins with: [unit][2][K][w].
    const int64_t seam = classes * sizes_.low_width;
    std::vector<T> seams(static_cast<size_t>(bands > 1 ? units * 2 * seam : 0));
    std::vector<LossSums> parts(static_cast<size_t>(units));
    const auto place = [&](int64_t unit) {
      return std::array<int64_t, 3>{chosen[static_cast<size_t>(unit / bands / samples)],
                                    unit / bands % samples, unit % bands};
    };
    const auto gradient_of = [&](at::Tensor& derivatives, int64_t head, int64_t sample) -> T* {
      const int64_t slot = slots_[static_cast<size_t>(head)];
      if (slot < 0 || sample >= derivatives.size(1)) {
        return nullptr;
      }
      return derivatives.mutable_data_ptr<T>() +
             (slot * derivatives.size(1) + sample) * classes * plane;
    };
    at::parallel_for(0, units, 1, [&](int64_t begin, int64_t end) {
      const auto scratch = std::make_unique_for_overwrite<T[]>(kScratch<T>(classes));
      for (int64_t unit = begin; unit < end; ++unit) {
        const auto [head, sample, band] = place(unit);
        const bool last = band == bands - 1;
        LossBand<T> work{
            .rows = &rows_,
            .columns = &columns_,
            .classes = classes,
            .low_height = sizes_.low_height,
            .low_width = sizes_.low_width,
            .pitch = pitch_,
            .begin = starts_[static_cast<size_t>(band)],
            .end = starts_[static_cast<size_t>(band) + 1],
            .logits =
                logits_[static_cast<size_t>(head)].const_data_ptr<T>() + sample * classes * plane,
            .labels = {sample < sizes_.labelled ? labels_.data() + sample * pixels : nullptr,
                       sizes_.pseudo && !above_threshold ? pseudo_.data() + sample * pixels
                                                         : nullptr},
            .probabilities = sample < sizes_.labelled
                                 ? probabilities_.get() + (head * sizes_.labelled + sample) * pixels
                                 : nullptr,
            .threshold = threshold_,
            .cut = cuts[static_cast<size_t>(unit / bands / samples)],
            .above_threshold = above_threshold,
            .gradients = {gradient_of(derivatives_, head, sample),
                          gradient_of(pseudo_derivatives_, head, sample)},
            .seam = last ? nullptr : seams.data() + unit * 2 * seam,
        };
        RunLossBand<T>(work, scratch.get(), parts[static_cast<size_t>(unit)]);
      }
    });
    for (int64_t unit = 0; unit < units; ++unit) {
      const auto [head, sample, band] = place(unit);
      const auto& part = parts[static_cast<size_t>(unit)];
      sums[static_cast<size_t>(head)] += part;
      if (band == bands - 1) {
        continue;
      }
      const int64_t row =
          rows_.next[static_cast<size_t>(starts_[static_cast<size_t>(band) + 1] - 1)];
      const T* added = seams.data() + unit * 2 * seam;
      for (T* gradient : {gradient_of(derivatives_, head, sample),
                          gradient_of(pseudo_derivatives_, head, sample)}) {
        if (gradient != nullptr) {
          for (int64_t k = 0; k < classes; ++k) {
            for (int64_t x = 0; x < sizes_.low_width; ++x) {
              gradient[k * plane + row * sizes_.low_width + x] += added[k * sizes_.low_width + x];
            }
          }
        }
        added += seam;
      }
    }
  }

  /** Labels as the bands take them, one row after the other up to a multiple of the tile's width.
   */
  std::vector<int32_t> Labels(const at::Tensor& given, const char* name, int64_t ignore) const {
    if (!given.defined()) {
      return {};
    }
    const auto contiguous = given.contiguous();
    const auto* from = contiguous.const_data_ptr<int64_t>();
    const int64_t rows = given.size(0) * sizes_.height;
    std::vector<int32_t> labels(static_cast<size_t>(rows * pitch_), -1);
    const int64_t width = sizes_.width;
    std::atomic<bool> in_range = true;
    at::parallel_for(0, rows, std::max<int64_t>(1, kGrain / width),
                     [&](int64_t begin, int64_t end) {
                       for (int64_t row = begin; row < end; ++row) {
                         if (!ReadLabels(from + row * width, width, ignore, sizes_.classes,
                                         labels.data() + row * pitch_)) {
                           in_range = false;
                         }
                       }
                     });
    if (!in_range) {
      const auto* wrong = std::find_if(from, from + given.numel(), [&](int64_t label) {
        return label != ignore && (label < 0 || label >= sizes_.classes);
      });
      TORCH_CHECK_INDEX(false, "upsample_ohem_cross_entropy: ", name, " hold ", *wrong,
                        ", expected 0 to ", sizes_.classes - 1, ", or ", ignore, " for void");
    }
    return labels;
  }

  UpsampleLossSizes sizes_;
  std::vector<at::Tensor> logits_;
  T threshold_;
  BilinearAxis<T> rows_;
  BilinearColumns<T, kTile<T>> columns_;
  std::vector<int64_t> starts_;
  std::vector<int64_t> slots_;
  at::Tensor derivatives_;
  at::Tensor pseudo_derivatives_;
  int64_t pitch_;
  std::vector<int32_t> labels_;
  std::vector<int32_t> pseudo_;
  std::unique_ptr<T[]> probabilities_;
};

std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor> UpsampleOhemCrossEntropyCpu(
    at::TensorList heads, const std::optional<at::Tensor>& labels,
    const std::optional<at::Tensor>& pseudo, double threshold, int64_t min_kept,
    int64_t ignore_index, at::IntArrayRef differentiable) {
  const auto sizes = CheckUpsampleLoss(heads, labels, pseudo, differentiable);
  const auto logits = UpsampleLossLogits(heads);
  return AT_DISPATCH_FLOATING_TYPES(logits[0].scalar_type(), "upsample_ohem_cross_entropy", [&] {
    UpsampleLoss<scalar_t> loss(sizes, logits, labels.value_or(at::Tensor()),
                                pseudo.value_or(at::Tensor()), threshold, ignore_index,
                                differentiable);
    return loss.Run(min_kept);
  });
}

M3L_KERNELS(CPU, library) {
  library.impl("upsample_ohem_cross_entropy_forward", UpsampleOhemCrossEntropyCpu);
}

}  // namespace
}  // namespace m3l
