// Scaled dot-product attention, by a kernel of our own where it beats libtorch's: float32 with few
// keys on processors with AVX-512 that are not Intel's, whose small products MKL computes on its
// narrow path. Elsewhere it is `scaled_dot_product_attention`.
#include "cpu/attention.h"

#include <ATen/autocast_mode.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/_scaled_dot_product_flash_attention_for_cpu_backward.h>
#include <ATen/ops/scaled_dot_product_attention.h>

#include "torch.h"

namespace m3l {
namespace {

M3L_OPERATORS(library) {
  library.def("attention(Tensor query, Tensor key, Tensor value, Tensor? key_bias=None) -> Tensor");
}

void Check(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
           const std::optional<at::Tensor>& key_bias) {
  TORCH_CHECK(query.dim() == 4 && key.dim() == 4 && value.dim() == 4,
              "m3l::attention: query, key and value are ", query.sizes(), ", ", key.sizes(),
              " and ", value.sizes(), ", expected [batch, heads, tokens, channels] each");
  TORCH_CHECK(key.sizes() == value.sizes() && query.size(0) == key.size(0) &&
                  query.size(1) == key.size(1) && query.size(3) == key.size(3),
              "m3l::attention: query, key and value are ", query.sizes(), ", ", key.sizes(),
              " and ", value.sizes(), "; they may differ in the query's number of tokens alone");
  TORCH_CHECK(!key_bias || (key_bias->dim() == 3 && key_bias->size(0) == key.size(0) &&
                            key_bias->size(1) == key.size(1) && key_bias->size(2) == key.size(2)),
              "m3l::attention: key_bias is ", key_bias ? key_bias->sizes() : at::IntArrayRef(),
              ", expected [batch, heads, keys] of key ", key.sizes());
}

bool ForOurKernel(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                  const std::optional<at::Tensor>& key_bias) {
  static const bool for_float = cpu::CanAttend(at::kFloat);
  static const bool for_bfloat16 = cpu::CanAttend(at::kBFloat16);
  const auto type = query.scalar_type();
  const bool even = query.size(3) % 2 == 0;
  const bool able = type == at::kFloat ? for_float : type == at::kBFloat16 && for_bfloat16 && even;
  const auto plain = [&](const at::Tensor& x) {
    return x.is_cpu() && x.layout() == at::kStrided && x.scalar_type() == type;
  };
  const auto by_channels = [](const at::Tensor& x) { return x.stride(3) == 1; };
  return able && !at::autocast::is_autocast_enabled(at::kCPU) && plain(query) && plain(key) &&
         plain(value) && (!key_bias || (plain(*key_bias) && !key_bias->requires_grad())) &&
         by_channels(query) && by_channels(key) && by_channels(value) && query.numel() > 0 &&
         key.numel() > 0 && key.size(2) <= cpu::kMostKeys;
}

template <typename T>
cpu::Tokens<const T> TokensOf(const at::Tensor& x) {
  return {x.const_data_ptr<T>(), x.stride(0), x.stride(1), x.stride(2)};
}

/** The result, as a view of [batch, tokens, heads, channels], and the rows' log sums if wanted. */
std::tuple<at::Tensor, at::Tensor> Attend(const at::Tensor& query, const at::Tensor& key,
                                          const at::Tensor& value,
                                          const std::optional<at::Tensor>& key_bias,
                                          bool with_log_sums) {
  const cpu::AttentionSizes sizes{query.size(0), query.size(1), query.size(2), key.size(2),
                                  query.size(3)};
  at::Tensor out =
      at::empty({sizes.batch, sizes.queries, sizes.heads, sizes.channels}, query.options())
          .transpose(1, 2);
  at::Tensor log_sums = with_log_sums ? at::empty({sizes.batch, sizes.heads, sizes.queries},
                                                  query.options().dtype(at::kFloat))
                                      : at::Tensor();
  const at::Tensor bias = key_bias ? key_bias->contiguous() : at::Tensor();
  const auto scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(sizes.channels)));
  const auto attend = [&]<typename T>(T) {
    cpu::Attend<T>(sizes, TokensOf<T>(query), TokensOf<T>(key), TokensOf<T>(value),
                   bias.defined() ? bias.const_data_ptr<T>() : nullptr, scale,
                   {out.mutable_data_ptr<T>(), out.stride(0), out.stride(1), out.stride(2)},
                   with_log_sums ? log_sums.mutable_data_ptr<float>() : nullptr);
  };
  if (query.scalar_type() == at::kFloat) {
    attend(float{});
  } else {
    attend(c10::BFloat16{});
  }
  return {out, log_sums};
}

struct AttentionFunction : torch::autograd::Function<AttentionFunction> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& query,
                            const at::Tensor& key, const at::Tensor& value,
                            const std::optional<at::Tensor>& key_bias) {
    const at::AutoDispatchBelowADInplaceOrView below;
    auto [out, log_sums] = Attend(query, key, value, key_bias, true);
    context->saved_data["bias"] = key_bias;
    context->save_for_backward({query, key, value, out, log_sums});
    return out;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    auto bias = context->saved_data["bias"].toOptional<at::Tensor>();
    if (bias) {
      bias = bias->unsqueeze(2);
    }
    auto [query, key, value] = at::_scaled_dot_product_flash_attention_for_cpu_backward(
        gradients[0], saved[0], saved[1], saved[2], saved[3], saved[4], 0.0, false, bias);
    return {query, key, value, at::Tensor()};
  }
};

/// libtorch's CUDA kernels read 16 bytes at a time, and a view that begins between them is a fault
/// that ends the device's context: it is copied.
at::Tensor Aligned(const at::Tensor& x) {
  constexpr std::uintptr_t kBytes = 16;
  const bool is_aligned =
      !x.is_cuda() || reinterpret_cast<std::uintptr_t>(x.const_data_ptr()) % kBytes == 0;
  return is_aligned ? x : x.clone();
}

at::Tensor Attention(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                     const std::optional<at::Tensor>& key_bias) {
  Check(query, key, value, key_bias);
  if (!ForOurKernel(query, key, value, key_bias)) {
    std::optional<at::Tensor> mask;
    if (key_bias) {
      mask = Aligned(*key_bias).unsqueeze(2);
    }
    return at::scaled_dot_product_attention(Aligned(query), Aligned(key), Aligned(value), mask);
  }
  if (at::GradMode::is_enabled() &&
      (query.requires_grad() || key.requires_grad() || value.requires_grad())) {
    return AttentionFunction::apply(query, key, value, key_bias);
  }
  return std::get<0>(Attend(query, key, value, key_bias, false));
}

M3L_KERNELS(CompositeImplicitAutograd, library) { library.impl("attention", Attention); }

}  // namespace
}  // namespace m3l
