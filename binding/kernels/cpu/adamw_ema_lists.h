// A list of tensors as one long row of elements, and the average of two of them.
#pragma once

#include <ATen/OpMathType.h>

#include <algorithm>

#include "../torch.h"
#include "vector.h"

namespace m3l {

/** factor · teacher + (1 − factor) · student, from the nearer end, as at::lerp; factor 0 copies. */
template <typename Acc>
struct Average {
  Acc coefficient;
  bool from_student;
  bool copies;

  explicit Average(double factor)
      : coefficient(static_cast<Acc>(1 - factor < 0.5 ? 1 - factor : -factor)),
        from_student(!(1 - factor < 0.5)),
        copies(factor == 0) {}

  Acc operator()(Acc teacher, Acc student) const {
    const Acc moved = (from_student ? student : teacher) + coefficient * (student - teacher);
    // Whatever the teacher held, NaN included.
    return copies ? student : moved;
  }
};

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
