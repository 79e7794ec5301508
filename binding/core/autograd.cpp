// Backward, gradients, and the modes that turn recording off.
#include <memory>

#include "call.h"

namespace m3l {

namespace {

bool flag(const Call& call, size_t index, const char* what) {
  return !call.missing(index) && call.boolean(index, what);
}

void backward(const Call& call) {
  const auto roots = call.tensors(0, "roots");
  const auto gradients = call.tensors(1, "gradients");
  const bool retain_graph = flag(call, 2, "retainGraph");
  const bool create_graph = flag(call, 3, "createGraph");
  const auto inputs = call.missing(4) ? std::vector<at::Tensor>() : call.tensors(4, "inputs");
  call.state().js_thread->run_backward([&] {
    torch::autograd::backward(roots, gradients, retain_graph || create_graph, create_graph, inputs);
  });
}

std::vector<at::Tensor> gradients(const Call& call) {
  const auto outputs = call.tensors(0, "outputs");
  const auto inputs = call.tensors(1, "inputs");
  const auto given = call.tensors(2, "gradOutputs");
  const bool retain_graph = flag(call, 3, "retainGraph");
  const bool create_graph = flag(call, 4, "createGraph");
  const bool allow_unused = flag(call, 5, "allowUnused");
  std::vector<at::Tensor> found;
  call.state().js_thread->run_backward([&] {
    found = torch::autograd::grad(outputs, inputs, given, retain_graph || create_graph,
                                  create_graph, allow_unused);
  });
  return found;
}

bool set_grad_enabled(const Call& call) {
  const bool previous = c10::GradMode::is_enabled();
  c10::GradMode::set_enabled(call.boolean(0, "enabled"));
  return previous;
}

bool is_grad_enabled(const Call& /*call*/) { return c10::GradMode::is_enabled(); }

void inference_push(const Call& call) {
  call.state().inference_modes.push_back(
      std::make_unique<c10::InferenceMode>(call.boolean(0, "enabled")));
}

void inference_pop(const Call& call) {
  if (call.state().inference_modes.empty()) {
    throw CoreError("M3L_ARGUMENT", "inferencePop() without inferencePush()");
  }
  call.state().inference_modes.pop_back();
}

bool is_inference_mode(const Call& /*call*/) { return c10::InferenceMode::is_enabled(); }

}  // namespace

void export_autograd(Exports& exports) {
  exports.add<backward>("backward");
  exports.add<gradients>("gradients");
  exports.add<set_grad_enabled>("setGradEnabled");
  exports.add<is_grad_enabled>("isGradEnabled");
  exports.add<inference_push>("inferencePush");
  exports.add<inference_pop>("inferencePop");
  exports.add<is_inference_mode>("isInferenceMode");
}

}  // namespace m3l
