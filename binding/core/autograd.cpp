// Backward, gradients, and the modes that turn recording off.
#include <memory>

#include "call.h"

namespace m3l {

namespace {

bool flag(const Call& call, size_t index, const char* what) {
  return !call.missing(index) && call.boolean(index, what);
}

napi_value backward(Call& call) {
  const auto roots = call.tensors(0, "roots");
  const auto gradients = call.tensors(1, "gradients");
  const bool retain_graph = flag(call, 2, "retainGraph");
  const bool create_graph = flag(call, 3, "createGraph");
  const auto inputs = call.missing(4) ? std::vector<at::Tensor>() : call.tensors(4, "inputs");
  torch::autograd::backward(roots, gradients, retain_graph || create_graph, create_graph, inputs);
  return undefined(call.env());
}

napi_value gradients(Call& call) {
  const auto outputs = call.tensors(0, "outputs");
  const auto inputs = call.tensors(1, "inputs");
  const auto given = call.tensors(2, "gradOutputs");
  const bool retain_graph = flag(call, 3, "retainGraph");
  const bool create_graph = flag(call, 4, "createGraph");
  const bool allow_unused = flag(call, 5, "allowUnused");
  auto results = torch::autograd::grad(outputs, inputs, given, retain_graph || create_graph,
                                       create_graph, allow_unused);
  napi_value array = nullptr;
  check(call.env(), napi_create_array_with_length(call.env(), results.size(), &array), "gradients");
  for (size_t i = 0; i < results.size(); ++i) {
    napi_set_element(call.env(), array, static_cast<uint32_t>(i),
                     tensor_to_js(call.state(), std::move(results[i])));
  }
  return array;
}

napi_value set_grad_enabled(Call& call) {
  const bool previous = c10::GradMode::is_enabled();
  c10::GradMode::set_enabled(call.boolean(0, "enabled"));
  return to_js(call.env(), previous);
}

napi_value is_grad_enabled(Call& call) { return to_js(call.env(), c10::GradMode::is_enabled()); }

napi_value inference_push(Call& call) {
  call.state().inference_modes.push_back(
      std::make_unique<c10::InferenceMode>(call.boolean(0, "enabled")));
  return undefined(call.env());
}

napi_value inference_pop(Call& call) {
  if (call.state().inference_modes.empty()) {
    throw CoreError("M3L_ARGUMENT", "inferencePop() without inferencePush()");
  }
  call.state().inference_modes.pop_back();
  return undefined(call.env());
}

napi_value is_inference_mode(Call& call) {
  return to_js(call.env(), c10::InferenceMode::is_enabled());
}

}  // namespace

Exports autograd_exports() {
  return {{"backward", entry<backward>},
          {"gradients", entry<gradients>},
          {"setGradEnabled", entry<set_grad_enabled>},
          {"isGradEnabled", entry<is_grad_enabled>},
          {"inferencePush", entry<inference_push>},
          {"inferencePop", entry<inference_pop>},
          {"isInferenceMode", entry<is_inference_mode>}};
}

}  // namespace m3l
