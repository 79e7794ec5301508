// Calls that return at once: any operator, a backward, a copy of values to JavaScript.
#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "async-work.h"
#include "buffers.h"
#include "operator-call.h"

namespace m3l {

namespace {

Napi::Value call_async_with(const Arguments& arguments, const Operator& op) {
  Environment& state = arguments.state();
  arguments.check_count(op);
  torch::jit::Stack given;
  push_arguments(arguments, op, given);
  const auto stack = std::make_shared<torch::jit::Stack>();
  std::vector<double> written;
  for (const auto& aliased : op.aliased_argument) {
    double handle = 0;
    if (aliased.has_value() && *aliased < arguments.count()) {
      napi_get_value_double(state.env, arguments[*aliased], &handle);
    }
    written.push_back(handle);
  }
  return run_async(
      state, op.name,
      [&op, stack, given = std::move(given)] {
        *stack = given;
        call_boxed(op, *stack);
      },
      [&state, &op, stack, written]() -> Napi::Value {
        const uint32_t id = state.next_result++;
        state.results.emplace(id, AsyncResult{&op, std::move(*stack), written});
        return Napi::Number::New(state.env, id);
      },
      op.writes ? Retry::kNever : Retry::kOnce);
}

/// callAsync(id, …arguments): a promise of the number that takeResult gives the results for.
napi_value call_async(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  try {
    return call_async_with(arguments, arguments.called());
  } catch (...) {
    rethrow_to_js(arguments.state(), "");
  }
  return nullptr;
}

/// The results of a call that is done, as handles of the scope that is current now.
Napi::Value take_result(const Call& call) {
  Environment& state = call.state();
  auto taken = state.results.extract(static_cast<uint32_t>(call.number(0, "result")));
  if (taken.empty() || taken.mapped().op == nullptr) {
    throw CoreError("M3L_ARGUMENT", "takeResult(): no call has this number, or it was taken");
  }
  auto& [op, stack, written] = taken.mapped();
  return results(state, *op, [&](size_t index) {
    return op->aliased_argument[index].has_value()
               ? written_to_js(state, Napi::Number::New(call.env(), written[index]))
               : ivalue_to_js(state, std::move(stack[index]));
  });
}

/// copyToAsync(handle, view): the view must not be touched until the promise settles.
Napi::Value copy_to_async(const Call& call) {
  const at::Tensor tensor = call.tensor(0);
  const View view = view_of(call[1]);
  const auto held =
      std::make_shared<Napi::ObjectReference>(Napi::Persistent(call[1].As<Napi::Object>()));
  return run_async(
      call.state(), "copyToAsync", [tensor, view] { copy_values(tensor, view); },
      [held]() -> Napi::Value { return held->Env().Undefined(); });
}

Napi::Value backward_async(const Call& call) {
  const auto roots = call.tensors(0, "roots");
  const auto gradients = call.tensors(1, "gradients");
  const bool retain_graph = call.boolean(2, "retainGraph");
  const bool create_graph = call.boolean(3, "createGraph");
  const auto inputs = call.tensors(4, "inputs");
  return run_async(call.state(), "", [=] {
    torch::autograd::backward(roots, gradients, retain_graph || create_graph, create_graph, inputs);
  });
}

}  // namespace

void export_async(Exports& exports) {
  exports.add("callAsync", call_async);
  exports.add<take_result>("takeResult");
  exports.add<copy_to_async>("copyToAsync");
  exports.add<backward_async>("backwardAsync");
}

}  // namespace m3l
