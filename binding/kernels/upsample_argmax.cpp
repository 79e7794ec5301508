#include "upsample_argmax.h"

namespace m3l {
namespace {

M3L_OPERATORS(library) {
  library.def(
      "upsample_argmax(Tensor logits, int[2] size, float? confidence=None, Tensor? valid=None, "
      "int ignore_index=255) -> Tensor");
}

}  // namespace

void CheckUpsampleArgmax(const at::Tensor& logits, at::IntArrayRef size,
                         const std::optional<at::Tensor>& valid) {
  TORCH_CHECK(logits.dim() == 4 && logits.numel() > 0, "upsample_argmax: logits are ",
              logits.sizes(), ", expected [B, K, h, w], not empty");
  TORCH_CHECK(at::isFloatingType(logits.scalar_type()), "upsample_argmax: logits are ",
              logits.scalar_type(), ", expected a floating type");
  TORCH_CHECK(size.size() == 2 && size[0] > 0 && size[1] > 0, "upsample_argmax: size is ", size,
              ", expected a height and a width above 0");
  if (!valid || !valid->defined()) {
    return;
  }
  TORCH_CHECK(valid->scalar_type() == at::kBool, "upsample_argmax: valid is ", valid->scalar_type(),
              ", expected bool");
  const int64_t expected[] = {logits.size(0), size[0], size[1]};
  TORCH_CHECK(valid->sizes() == at::IntArrayRef(expected), "upsample_argmax: valid is ",
              valid->sizes(), ", expected ", at::IntArrayRef(expected));
  TORCH_CHECK(valid->device() == logits.device(), "upsample_argmax: valid is on ", valid->device(),
              ", expected it where the logits are, on ", logits.device());
}

}  // namespace m3l
