#include "confusion_matrix.h"

namespace m3l {
namespace {

M3L_OPERATORS(library) {
  library.def(
      "confusion_matrix(Tensor labels, Tensor predictions, int classes, int ignore_index=255) "
      "-> Tensor");
  library.def(
      "confusion_matrix_add_(Tensor(a!) counts, Tensor(b!) out_of_range, Tensor labels, "
      "Tensor predictions, int ignore_index=255) -> ()");
}

at::Tensor ConfusionMatrixOfAny(const at::Tensor& labels, const at::Tensor& predictions,
                                int64_t classes, int64_t ignore_index) {
  static const auto add = c10::Dispatcher::singleton()
                              .findSchemaOrThrow("m3l::confusion_matrix_add_", "")
                              .typed<ConfusionMatrixAdd>();
  TORCH_CHECK(classes > 0, "confusion_matrix: ", classes, " classes, expected at least 1");
  auto counts = at::zeros({classes, classes}, labels.options().dtype(at::kLong));
  auto out_of_range = at::zeros({4}, counts.options());
  add.call(counts, out_of_range, labels, predictions, ignore_index);
  const auto found = out_of_range.cpu();
  const auto* values = found.const_data_ptr<int64_t>();
  for (const auto* name : {"labels", "predictions"}) {
    TORCH_CHECK_INDEX(values[0] == 0, "confusion_matrix: the ", name, " hold ", values[1],
                      ", expected 0 to ", classes - 1, ", or ", ignore_index, " for void labels");
    values += 2;
  }
  return counts;
}

M3L_KERNELS(CompositeExplicitAutograd, library) {
  library.impl("confusion_matrix", ConfusionMatrixOfAny);
}

}  // namespace

void CheckConfusionMatrixAdd(const at::Tensor& counts, const at::Tensor& out_of_range,
                             const at::Tensor& labels, const at::Tensor& predictions) {
  TORCH_CHECK(counts.dim() == 2 && counts.size(0) == counts.size(1) && counts.size(0) > 0 &&
                  counts.scalar_type() == at::kLong && counts.is_contiguous(),
              "confusion_matrix: counts are ", counts.scalar_type(), " ", counts.sizes(),
              ", expected contiguous int64 [K, K]");
  TORCH_CHECK(out_of_range.sizes() == at::IntArrayRef(4) &&
                  out_of_range.scalar_type() == at::kLong && out_of_range.is_contiguous(),
              "confusion_matrix: out_of_range is ", out_of_range.scalar_type(), " ",
              out_of_range.sizes(), ", expected contiguous int64 [4]");
  TORCH_CHECK(labels.sizes() == predictions.sizes(), "confusion_matrix: predictions are ",
              predictions.sizes(), ", expected ", labels.sizes(), ", as the labels are");
  for (const auto* tensor : {&labels, &predictions, &out_of_range}) {
    TORCH_CHECK(tensor->device() == counts.device(), "confusion_matrix: tensors are on ",
                tensor->device(), " and ", counts.device(), ", expected one device");
    TORCH_CHECK(at::isIntegralType(tensor->scalar_type(), /*includeBool=*/false),
                "confusion_matrix: ", tensor == &labels ? "labels" : "predictions", " are ",
                tensor->scalar_type(), ", expected integers");
  }
}

}  // namespace m3l
