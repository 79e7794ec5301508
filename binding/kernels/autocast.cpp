// What the operators do under autocast: those that make sums and logarithms compute in float32, the
// feed-forward in the narrow dtype, as libtorch's own norms and convolutions do. A residual stream
// stays float32, what is added to it and the norm that products read are narrow.
#include <ATen/autocast_mode.h>

#include <cstddef>

#include "torch.h"

namespace m3l {
namespace {

enum class Policy : uint8_t { kFloat32, kNarrow, kResidual };

/** The dispatch key under which autocast runs on a device. */
template <c10::DeviceType kDevice>
constexpr c10::DispatchKey kAutocastKey =
    kDevice == c10::kCUDA ? c10::DispatchKey::AutocastCUDA : c10::DispatchKey::AutocastCPU;

at::Tensor Cast(const at::Tensor& x, at::ScalarType dtype, c10::DeviceType device) {
  return x.defined() ? at::autocast::cached_cast(dtype, x, device) : x;
}

/** Casts every tensor among the arguments, then calls the operator below autocast. */
template <Policy kPolicy, c10::DeviceType kDevice>
void CastArguments(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  const c10::impl::ExcludeDispatchKeyGuard below(kAutocastKey<kDevice>);
  const auto narrow = at::autocast::get_autocast_dtype(kDevice);
  const auto dtype = kPolicy == Policy::kNarrow ? narrow : at::kFloat;
  const auto& arguments = op.schema().arguments();
  auto value_at = stack->end() - static_cast<std::ptrdiff_t>(arguments.size());
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

template <c10::DeviceType kDevice>
void Register(torch::Library& library) {
  constexpr auto float32 = [] {
    return torch::CppFunction::makeFromBoxedFunction<&CastArguments<Policy::kFloat32, kDevice>>();
  };
  constexpr auto narrow = [] {
    return torch::CppFunction::makeFromBoxedFunction<&CastArguments<Policy::kNarrow, kDevice>>();
  };
  constexpr auto residual = [] {
    return torch::CppFunction::makeFromBoxedFunction<&CastArguments<Policy::kResidual, kDevice>>();
  };
  library.impl("fuse_residual_norm", residual());
  for (const char* name : {"modality_norm", "mask_tokens", "upsample_ohem_cross_entropy",
                           "upsample_argmax", "upsample_sum"}) {
    library.impl(name, float32());
  }
  library.impl("token_dwconv_gelu", narrow());
  library.impl("mix_ffn", narrow());
}

M3L_KERNELS(AutocastCPU, library) { Register<c10::kCPU>(library); }
M3L_KERNELS(AutocastCUDA, library) { Register<c10::kCUDA>(library); }

}  // namespace
}  // namespace m3l
