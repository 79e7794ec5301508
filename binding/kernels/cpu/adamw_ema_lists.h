// A list of tensors as one long row of elements, and the average of two of them.
#pragma once

#include <ATen/OpMathType.h>

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "../torch.h"
#include "vector.h"

namespace m3l {

/** Which end an average is reckoned from, the nearer one, as at::lerp; factor 0 copies. */
enum class Start : std::uint8_t { kTeacher, kStudent, kCopy };

/** factor · teacher + (1 − factor) · student. */
template <typename Acc>
struct Average {
  Acc coefficient;
  Start start;

  explicit Average(double factor)
      : coefficient(static_cast<Acc>(1 - factor < 0.5 ? 1 - factor : -factor)),
        start(factor == 0        ? Start::kCopy
              : 1 - factor < 0.5 ? Start::kTeacher
                                 : Start::kStudent) {}

  /** kStart: `start`, which a loop must know while it is compiled, or it is not vectorised. */
  template <Start kStart>
  [[nodiscard]] Acc Of(Acc teacher, Acc student) const {
    if constexpr (kStart == Start::kCopy) {
      return student;  // whatever the teacher held, NaN included
    } else {
      return (kStart == Start::kStudent ? student : teacher) + coefficient * (student - teacher);
    }
  }
};

template <typename Run>
void WithStart(Start start, const Run& run) {
  switch (start) {
    case Start::kTeacher:
      return run(std::integral_constant<Start, Start::kTeacher>{});
    case Start::kStudent:
      return run(std::integral_constant<Start, Start::kStudent>{});
    case Start::kCopy:
      return run(std::integral_constant<Start, Start::kCopy>{});
  }
}

/**
 * Calls `work(tensor index, first element, count)` in parallel, each thread with one stretch of the
 * row that all tensors make together: many small tensors cost no more than one large one.
 */
template <typename Work>
void ParallelOverLists(const std::vector<at::Tensor>& tensors, const Work& work) {
  std::vector<int64_t> ends;
  ends.reserve(tensors.size());
  int64_t total = 0;
  for (const auto& tensor : tensors) {
    ends.push_back(total += tensor.numel());
  }
  at::parallel_for(0, total, kGrain, [&](int64_t begin, int64_t end) {
    auto index = static_cast<size_t>(std::ranges::upper_bound(ends, begin) - ends.begin());
    for (int64_t at = begin; at < end; ++index) {
      const int64_t stop = std::min(end, ends[index]);
      const int64_t first = at - (ends[index] - tensors[index].numel());
      if (stop > at) {
        work(index, first, stop - at);
      }
      at = stop;
    }
  });
}

}  // namespace m3l
