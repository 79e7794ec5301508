// What the operators do under autocast: those that make sums and logarithms compute in float32, the
// feed-forward in the narrow dtype, as libtorch's own norms and convolutions do. A residual stream
// stays float32, what is added to it and the norm that products read are narrow. A sum of maps that
// are all narrow is computed in float32 inside, and stored narrow for the product that reads it.
#include <ATen/autocast_mode.h>

#include <algorithm>
#include <cstddef>

#include "torch.h"

namespace m3l {
namespace {

enum class Policy : uint8_t { kFloat32, kNarrow, kResidual, kMaps };

/** The dispatch key under which autocast runs on a device. */
template <c10::DeviceType kDevice>
constexpr c10::DispatchKey kAutocastKey =
    kDevice == c10::kCUDA ? c10::DispatchKey::AutocastCUDA : c10::DispatchKey::AutocastCPU;

at::Tensor Cast(const at::Tensor& x, at::ScalarType dtype, c10::DeviceType device) {
  return x.defined() ? at::autocast::cached_cast(dtype, x, device) : x;
}

/** Whether all tensors among the last `count` values are of a dtype. */
bool AllAre(at::ScalarType dtype, const torch::jit::Stack& stack, std::ptrdiff_t count) {
  const auto is = [dtype](const at::Tensor& x) { return x.scalar_type() == dtype; };
  return std::all_of(stack.end() - count, stack.end(), [&is](const c10::IValue& value) {
    if (value.isTensorList()) {
      const auto list = value.toTensorVector();
      return std::all_of(list.begin(), list.end(), is);
    }
    return !value.isTensor() || is(value.toTensor());
  });
}

/** Casts every tensor among the arguments, then calls the operator below autocast. */
template <Policy kPolicy, c10::DeviceType kDevice>
void CastArguments(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  const c10::impl::ExcludeDispatchKeyGuard below(kAutocastKey<kDevice>);
  const auto narrow = at::autocast::get_autocast_dtype(kDevice);
  const auto& arguments = op.schema().arguments();
  const auto count = static_cast<std::ptrdiff_t>(arguments.size());
  const bool stays = kPolicy == Policy::kMaps && AllAre(narrow, *stack, count);
  const auto dtype = kPolicy == Policy::kNarrow || stays ? narrow : at::kFloat;
  auto value_at = stack->end() - count;
  for (const auto& argument : arguments) {
    auto& value = *value_at++;
    if (kPolicy == Policy::kResidual && argument.name() == "branch" &&
        value.toTensor().scalar_type() == narrow) {
      continue;
    }
    if (value.isTensor()) {
      value = Cast(value.toTensor(), dtype, kDevice);
    } else if (value.isTensorList()) {
      auto list = value.toTensorVector();
      for (auto& x : list) {
        x = Cast(x, dtype, kDevice);
      }
      value = c10::List<at::Tensor>(list);
    }
  }
  op.callBoxed(stack);
}

template <Policy kPolicy, c10::DeviceType kDevice>
torch::CppFunction By() {
  return torch::CppFunction::makeFromBoxedFunction<&CastArguments<kPolicy, kDevice>>();
}

template <c10::DeviceType kDevice>
void Register(torch::Library& library) {
  for (const char* name :
       {"modality_norm", "mask_tokens", "upsample_ohem_cross_entropy", "upsample_argmax"}) {
    library.impl(name, By<Policy::kFloat32, kDevice>());
  }
  for (const char* name : {"token_dwconv_gelu", "mix_ffn"}) {
    library.impl(name, By<Policy::kNarrow, kDevice>());
  }
  library.impl("fuse_residual_norm", By<Policy::kResidual, kDevice>());
  library.impl("upsample_sum", By<Policy::kMaps, kDevice>());
}

M3L_KERNELS(AutocastCPU, library) { Register<c10::kCPU>(library); }
M3L_KERNELS(AutocastCUDA, library) { Register<c10::kCUDA>(library); }

}  // namespace
}  // namespace m3l
