// Linear with the faster of the two matrix products that libtorch brings. MKL takes its AVX2 path
// on processors that are not Intel's, oneDNN the widest there is: 1.1 to 1.5 times as fast there
// for the product and the input's gradient (bench/gemm.mjs), while MKL stays ahead for the weight's
// gradient, whose operands oneDNN would copy. On Intel's with AVX-512 the two are equals but for
// the bias, which oneDNN adds as it writes and libtorch writes first for MKL to add to: up to 1.8
// times where the sums are short. The choice follows the machine and the shape alone, never a
// measurement at run time: two runs on a machine give the same numbers.
#include "linear.h"

#include <ATen/autocast_mode.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/linear.h>

#include "cpu/processor.h"

namespace m3l {
namespace {

M3L_OPERATORS(library) {
  library.def("linear(Tensor input, Tensor weight, Tensor? bias=None) -> Tensor");
}

/** Below this many multiplications the call itself costs more than the product. */
constexpr int64_t kSmallest = int64_t{1} << 18;
/** Where only the bias makes the difference: the weight of 32 to 32 channels is too small for one.
 */
constexpr int64_t kSmallestWithBias = int64_t{64} * 64;

bool OneDnnIsFaster(const at::Tensor& weight, bool with_bias) {
  static const bool wide = cpu::HasAvx512();
  static const bool always = cpu::MklIsNarrow();
  return always || (wide && with_bias && weight.numel() >= kSmallestWithBias);
}

bool ForOneDnn(const at::Tensor& input, const at::Tensor& weight,
               const std::optional<at::Tensor>& bias) {
  const auto plain = [](const at::Tensor& x) {
    return x.is_cpu() && x.layout() == at::kStrided && x.scalar_type() == at::kFloat;
  };
  return !at::autocast::is_autocast_enabled(at::kCPU) && plain(input) && plain(weight) &&
         (!bias || plain(*bias)) && input.dim() >= 1 && weight.dim() == 2 &&
         input.size(-1) == weight.size(1) &&
         (!bias || (bias->dim() == 1 && bias->size(0) == weight.size(0))) &&
         input.numel() * weight.size(0) >= kSmallest && OneDnnIsFaster(weight, bias.has_value());
}

using Pointwise = at::Tensor(const at::Tensor&, const at::Tensor&, const std::optional<at::Tensor>&,
                             c10::string_view, c10::List<std::optional<at::Scalar>>,
                             std::optional<c10::string_view>);

at::Tensor OneDnnProduct(const at::Tensor& input, const at::Tensor& weight,
                         const std::optional<at::Tensor>& bias) {
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("mkldnn::_linear_pointwise", "")
                             .typed<Pointwise>();
  return op.call(input, weight, bias, "none", c10::List<std::optional<at::Scalar>>(), "");
}

struct LinearFunction : torch::autograd::Function<LinearFunction> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& input,
                            const at::Tensor& weight, const std::optional<at::Tensor>& bias) {
    const at::AutoDispatchBelowADInplaceOrView below;
    context->save_for_backward({input, weight});
    context->saved_data["bias"] = bias.has_value();
    return OneDnnProduct(input, weight, bias);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const auto& input = saved[0];
    const auto& weight = saved[1];
    const auto& gradient = gradients[0];
    at::Tensor to_input;
    at::Tensor to_weight;
    at::Tensor to_bias;
    // Of operators that can be differentiated again.
    if (context->needs_input_grad(0)) {
      to_input = Linear(gradient, weight.t(), std::nullopt);
    }
    if (context->needs_input_grad(1)) {
      to_weight = Matrix(gradient).t().mm(Matrix(input));
    }
    if (context->saved_data["bias"].toBool() && context->needs_input_grad(2)) {
      to_bias = Matrix(gradient).sum(0);
    }
    return {to_input, to_weight, to_bias};
  }
};

}  // namespace

at::Tensor Linear(const at::Tensor& input, const at::Tensor& weight,
                  const std::optional<at::Tensor>& bias) {
  if (!ForOneDnn(input, weight, bias)) {
    return at::linear(input, weight, bias);
  }
  const auto wanted = [](const at::Tensor& x) { return x.requires_grad(); };
  if (at::GradMode::is_enabled() && (wanted(input) || wanted(weight) || (bias && wanted(*bias)))) {
    return LinearFunction::apply(input, weight, bias);
  }
  return OneDnnProduct(input, weight, bias);
}

namespace {

M3L_KERNELS(CompositeImplicitAutograd, library) { library.impl("linear", Linear); }

}  // namespace
}  // namespace m3l
