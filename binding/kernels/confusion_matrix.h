#pragma once

#include "torch.h"

namespace m3l {

/**
 * @param labels integers, 0…K−1 or ignore_index, which is not counted; any shape
 * @param predictions integers of the same shape, 0…K−1 where the label counts
 * @return counts [K, K] int64, a row for each label and a column for each prediction
 */
using ConfusionMatrix = at::Tensor(const at::Tensor& labels, const at::Tensor& predictions,
                                   int64_t classes, int64_t ignore_index);

/**
 * Adds to `counts` [K, K] without waiting for the device: what is out of range is noted in
 * `out_of_range`, int64 [4], for the caller to look at in its own time: how many labels and one of
 * them, how many predictions and one of them.
 */
using ConfusionMatrixAdd = void(at::Tensor& counts, at::Tensor& out_of_range,
                                const at::Tensor& labels, const at::Tensor& predictions,
                                int64_t ignore_index);

void CheckConfusionMatrixAdd(const at::Tensor& counts, const at::Tensor& out_of_range,
                             const at::Tensor& labels, const at::Tensor& predictions);

/** Calls f with labels and predictions as they mostly come: in 8 bits from files, or in 64. */
template <typename Function>
void WithIntegers(const at::Tensor& labels, const at::Tensor& predictions, Function&& f) {
  const auto held = [](const at::Tensor& x) {
    return (x.scalar_type() == at::kByte ? x : x.to(at::kLong)).contiguous();
  };
  const at::Tensor rows = held(labels);
  const at::Tensor columns = held(predictions);
  const auto with_columns = [&]<typename L>(const L* row) {
    if (columns.scalar_type() == at::kByte) {
      f(row, columns.const_data_ptr<uint8_t>());
    } else {
      f(row, columns.const_data_ptr<int64_t>());
    }
  };
  if (rows.scalar_type() == at::kByte) {
    with_columns(rows.const_data_ptr<uint8_t>());
  } else {
    with_columns(rows.const_data_ptr<int64_t>());
  }
}

}  // namespace m3l
