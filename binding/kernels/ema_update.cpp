#include "ema_update.h"

#include <ATen/ops/_foreach_lerp.h>
#include <ATen/ops/empty_strided.h>

namespace m3l {
namespace {

M3L_OPERATORS(library) {
  library.def(
      "ema_update_(Tensor(a!)[] teachers, Tensor[] students, float factor, "
      "Tensor? scalar=None) -> ()");
}

// Leaves that require gradients are written in place, as under no_grad they may be; but what
// autograd saved of them must know that they changed.
void EmaUpdateBumpingVersions(at::TensorList teachers, at::TensorList students, double factor,
                              const std::optional<at::Tensor>& scalar) {
  static const auto op =
      c10::Dispatcher::singleton().findSchemaOrThrow("m3l::ema_update_", "").typed<EmaUpdate>();
  {
    const at::AutoDispatchBelowADInplaceOrView below;
    op.call(teachers, students, factor, scalar);
  }
  for (const auto& teacher : teachers) {
    torch::autograd::impl::bump_version(teacher);
  }
}

void EmaUpdateByAten(const std::vector<at::Tensor>& teachers,
                     const std::vector<at::Tensor>& students, const EmaFactor& factor) {
  TORCH_CHECK(!factor.dynamic.defined(), "ema_update_: a scalar on ", factor.dynamic.device(),
              ", for which the kernels were not built: expected them built for it");
  if (factor.value > 0) {
    at::_foreach_lerp_(teachers, students, 1 - factor.value);
    return;
  }
  for (size_t i = 0; i < teachers.size(); ++i) {
    teachers[i].copy_(students[i]);
  }
}

void EmaUpdateElsewhere(at::TensorList teachers, at::TensorList students, double factor,
                        const std::optional<at::Tensor>& scalar) {
  RunEmaUpdate(EmaUpdateByAten, teachers, students, {factor, scalar.value_or(at::Tensor())});
}

// A device without a kernel of its own, or CUDA where these were built without it.
M3L_KERNELS(CompositeExplicitAutograd, library) { library.impl("ema_update_", EmaUpdateElsewhere); }
M3L_KERNELS(Autograd, library) {
  library.impl("ema_update_", torch::CppFunction::makeFallthrough());
}
M3L_KERNELS(ADInplaceOrView, library) { library.impl("ema_update_", EmaUpdateBumpingVersions); }

}  // namespace

std::vector<at::Tensor> LaidOutAs(at::TensorList like, at::TensorList list, const char* op,
                                  const char* name) {
  TORCH_CHECK(list.size() == like.size(), op, ": ", list.size(), " ", name, ", expected ",
              like.size());
  std::vector<at::Tensor> result;
  result.reserve(list.size());
  for (size_t i = 0; i < list.size(); ++i) {
    const auto& tensor = list[i];
    const auto& fellow = like[i];
    TORCH_CHECK(tensor.sizes() == fellow.sizes() && tensor.scalar_type() == fellow.scalar_type() &&
                    tensor.device() == fellow.device(),
                op, ": ", name, "[", i, "] is ", tensor.sizes(), " ", tensor.scalar_type(), " on ",
                tensor.device(), ", expected ", fellow.sizes(), " ", fellow.scalar_type(), " on ",
                fellow.device());
    TORCH_CHECK(
        fellow.scalar_type() == like[0].scalar_type() && fellow.device() == like[0].device(), op,
        ": ", name, "[", i, "] is ", fellow.scalar_type(), " on ", fellow.device(), ", the first ",
        like[0].scalar_type(), " on ", like[0].device(), ": expected one dtype and device");
    TORCH_CHECK(fellow.is_non_overlapping_and_dense(), op, ": the layout of ", name, "[", i,
                "], strides ", fellow.strides(), " of ", fellow.sizes(),
                ", is not dense: expected a tensor that fills its memory");
    if (tensor.strides() == fellow.strides()) {
      result.push_back(tensor);
    } else {
      auto copy = at::empty_strided(fellow.sizes(), fellow.strides(), fellow.options());
      copy.copy_(tensor);
      result.push_back(std::move(copy));
    }
  }
  return result;
}

void CopyBack(at::TensorList list, const std::vector<at::Tensor>& laid_out) {
  for (size_t i = 0; i < list.size(); ++i) {
    if (!list[i].is_same(laid_out[i])) {
      list[i].copy_(laid_out[i]);
    }
  }
}

void RunEmaUpdate(EmaKernel kernel, at::TensorList teachers, at::TensorList students,
                  const EmaFactor& factor) {
  TORCH_CHECK(factor.value >= 0 && factor.value <= 1, "ema_update_: factor is ", factor.value,
              ", expected [0, 1]");
  TORCH_CHECK(students.size() == teachers.size(), "ema_update_: ", students.size(),
              " students, expected ", teachers.size());
  if (teachers.empty()) {
    return;
  }
  if (factor.dynamic.defined()) {
    const auto& scalar = factor.dynamic;
    TORCH_CHECK(scalar.scalar_type() == at::kDouble && scalar.numel() == 1 &&
                    scalar.device() == teachers[0].device(),
                "ema_update_: scalar is ", scalar.sizes(), " ", scalar.scalar_type(), " on ",
                scalar.device(), ", expected float64 [1] on ", teachers[0].device());
  }
  const auto mine = LaidOutAs(teachers, teachers, "ema_update_", "teachers");
  const auto theirs = LaidOutAs(teachers, students, "ema_update_", "students");
  kernel(mine, theirs, factor);
}

}  // namespace m3l
