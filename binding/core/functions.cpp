// Hooks on gradients, and operators whose forward and backward are JavaScript's.
#include <torch/csrc/autograd/anomaly_mode.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/csrc/autograd/forward_grad.h>

#include "call.h"
#include "callback.h"

namespace m3l {

namespace {

Napi::Function function_at(const Call& call, size_t index, const char* what) {
  if (!call[index].IsFunction()) {
    throw CoreError("M3L_ARGUMENT",
                    std::string(what) + ": expected a function, found " + describe(call[index]));
  }
  return call[index].As<Napi::Function>();
}

/// registerHook(handle, function): its number, for removeHook.
unsigned register_hook(const Call& call) {
  const at::Tensor& tensor = call.tensor(0);
  if (!tensor.requires_grad()) {
    throw CoreError("M3L_NO_GRADIENT",
                    "registerHook: the tensor does not require a gradient, so that none will come; "
                    "set requiresGrad, or hook one that is computed from such");
  }
  const auto hook =
      c10::make_intrusive<Callback>(call.state(), function_at(call, 1, "registerHook"));
  return tensor.register_hook([hook](const at::Tensor& gradient) -> at::Tensor {
    auto results = (*hook)({gradient});
    return results.empty() || results[0].empty() || !results[0][0].defined() ? gradient
                                                                             : results[0][0];
  });
}

void remove_hook(const Call& call) {
  call.tensor(0).remove_hook(static_cast<unsigned>(call.integer(1, "hook")));
}

struct JavaScriptFunction : torch::autograd::Function<JavaScriptFunction> {
  using Context = torch::autograd::AutogradContext;
  using Tensors = torch::autograd::variable_list;

  /// `forward` answers with its outputs, what it saves, and the outputs that have no gradient.
  static Tensors forward(Context* context, const at::TensorList& inputs,
                         const c10::intrusive_ptr<Callback>& forward,
                         const c10::intrusive_ptr<Callback>& backward) {
    auto results = (*forward)(inputs.vec());
    results.resize(3);
    context->saved_data["backward"] = c10::IValue::make_capsule(backward);
    context->saved_data["inputs"] = static_cast<int64_t>(inputs.size());
    context->save_for_backward(results[1]);
    context->mark_non_differentiable(results[2]);
    return results[0];
  }

  /// `backward` is given the gradients and then what was saved.
  static Tensors backward(Context* context, const Tensors& gradients) {
    Tensors given = gradients;
    for (const at::Tensor& saved : context->get_saved_variables()) {
      given.push_back(saved);
    }
    const auto backward =
        c10::static_intrusive_pointer_cast<Callback>(context->saved_data["backward"].toCapsule());
    auto results = (*backward)(given);
    results.resize(1);
    Tensors found = std::move(results[0]);
    const auto count = static_cast<size_t>(context->saved_data["inputs"].toInt());
    // forward's two callbacks are inputs without a gradient too.
    found.resize(count + 2);
    return found;
  }
};

/// customFunction(inputs, forward, backward): the outputs.
std::vector<at::Tensor> custom_function(const Call& call) {
  const auto inputs = call.tensors(0, "inputs");
  const auto forward = c10::make_intrusive<Callback>(call.state(), function_at(call, 1, "forward"));
  const auto backward =
      c10::make_intrusive<Callback>(call.state(), function_at(call, 2, "backward"));
  // A list of this type, and no other, is looked through for what requires a gradient.
  return JavaScriptFunction::apply(at::TensorList(inputs), forward, backward);
}

Exchange& exchange_at(const Call& call) {
  const auto found =
      call.state().exchanges.find(static_cast<uint32_t>(call.integer(0, "exchange")));
  if (found == call.state().exchanges.end()) {
    throw CoreError("M3L_ARGUMENT", "the hook or custom function has returned already");
  }
  return *found->second;
}

std::vector<at::Tensor> exchange_inputs(const Call& call) { return exchange_at(call).inputs; }

/// exchangeResults(exchange, …lists of handles)
void exchange_results(const Call& call) {
  Exchange& exchange = exchange_at(call);
  for (size_t i = 1; !call.missing(i); ++i) {
    exchange.results.push_back(call.tensors(i, "results"));
  }
  exchange.answered = true;
}

/// The name of the function that a tensor came from; null of a leaf.
Napi::Value grad_function_name(const Call& call) {
  const at::Tensor& tensor = call.tensor(0);
  const auto& function = tensor.grad_fn();
  if (function == nullptr) {
    return call.env().Null();
  }
  const std::string name = function->name();
  const bool custom = name.find("JavaScriptFunction") != std::string::npos;
  return Napi::String::New(call.env(), custom ? "CustomFunctionBackward" : name);
}

uint64_t enter_dual_level(const Call& /*call*/) {
  return torch::autograd::ForwardADLevel::get_next_idx();
}

void exit_dual_level(const Call& call) {
  torch::autograd::ForwardADLevel::release_idx(static_cast<uint64_t>(call.integer(0, "level")));
}

/// setDetectAnomaly(enabled, checkNan): what it was.
bool set_detect_anomaly(const Call& call) {
  const bool previous = torch::autograd::AnomalyMode::is_enabled();
  torch::autograd::AnomalyMode::set_enabled(call.boolean(0, "enabled"),
                                            call.boolean(1, "checkNan"));
  return previous;
}

}  // namespace

void export_functions(Exports& exports) {
  exports.add<register_hook>("registerHook");
  exports.add<remove_hook>("removeHook");
  exports.add<custom_function>("customFunction");
  exports.add<exchange_inputs>("exchangeInputs");
  exports.add<exchange_results>("exchangeResults");
  exports.add<grad_function_name>("gradFunctionName");
  exports.add<enter_dual_level>("enterDualLevel");
  exports.add<exit_dual_level>("exitDualLevel");
  exports.add<set_detect_anomaly>("setDetectAnomaly");
}

}  // namespace m3l
