#include "../confusion_matrix.h"

#include <array>
#include <mutex>

namespace m3l {
namespace {

/** Counts of one cell in turn wait for each other: neighbouring pixels go to different tables. */
constexpr int64_t kTables = 4;
constexpr int64_t kGrain = 32768;

/** Adds pixels begin … end to `counts`; gives what `out_of_range` holds. */
template <typename L, typename P>
std::array<int64_t, 4> Count(const L* labels, const P* predictions, int64_t begin, int64_t end,
                             int64_t classes, int64_t ignore, std::vector<int64_t>& counts) {
  const int64_t cells = classes * classes;
  // Large tables are seldom hit twice in turn, and four of them would not stay in the cache.
  const int64_t used = cells <= 4096 ? kTables : 1;
  std::vector<int64_t> tables(static_cast<size_t>(used * cells));
  std::array<int64_t, 4> wrong{};
  const auto limit = static_cast<uint64_t>(classes);
  for (int64_t i = begin; i < end; ++i) {
    const auto label = static_cast<int64_t>(labels[i]);
    if (label == ignore) {
      continue;
    }
    const auto prediction = static_cast<int64_t>(predictions[i]);
    if (static_cast<uint64_t>(label) >= limit) {
      wrong[0] += 1;
      wrong[1] = label;
    } else if (static_cast<uint64_t>(prediction) >= limit) {
      wrong[2] += 1;
      wrong[3] = prediction;
    } else {
      ++tables[static_cast<size_t>(i % used * cells + label * classes + prediction)];
    }
  }
  for (size_t i = 0; i < tables.size(); ++i) {
    counts[i % static_cast<size_t>(cells)] += tables[i];
  }
  return wrong;
}

void ConfusionMatrixAddCpu(at::Tensor& counts, at::Tensor& out_of_range, const at::Tensor& labels,
                           const at::Tensor& predictions, int64_t ignore_index) {
  CheckConfusionMatrixAdd(counts, out_of_range, labels, predictions);
  const int64_t classes = counts.size(0);
  auto* total = counts.mutable_data_ptr<int64_t>();
  auto* noted = out_of_range.mutable_data_ptr<int64_t>();
  std::mutex mutex;
  WithIntegers(labels, predictions, [&](const auto* rows, const auto* columns) {
    const int64_t grain = std::max<int64_t>(kGrain, 8 * classes * classes);
    at::parallel_for(0, labels.numel(), grain, [&](int64_t begin, int64_t end) {
      std::vector<int64_t> mine(static_cast<size_t>(classes * classes));
      const auto wrong = Count(rows, columns, begin, end, classes, ignore_index, mine);
      const std::lock_guard lock(mutex);
      for (size_t i = 0; i < mine.size(); ++i) {
        total[i] += mine[i];
      }
      for (const size_t kind : {size_t{0}, size_t{2}}) {
        if (wrong[kind] == 0) {
          continue;
        }
        noted[kind] += wrong[kind];
        noted[kind + 1] = wrong[kind + 1];
      }
    });
  });
}

M3L_KERNELS(CPU, library) { library.impl("confusion_matrix_add_", ConfusionMatrixAddCpu); }

}  // namespace
}  // namespace m3l
