// Any operator of the dispatcher, by id: one generic boxed call.
#include <algorithm>

#include "call.h"
#include "values.h"

namespace m3l {

namespace {

napi_value operators(Call& call) {
  napi_value array = nullptr;
  check(call.env(), napi_create_array(call.env(), &array), "operators");
  uint32_t index = 0;
  for (const auto& name : c10::Dispatcher::singleton().getAllOpNames()) {
    const auto handle = c10::Dispatcher::singleton().findSchema(name);
    if (handle.has_value()) {
      napi_set_element(call.env(), array, index++,
                       to_js(call.env(), c10::toString(handle->schema())));
    }
  }
  return array;
}

napi_value resolve(Call& call) {
  const std::string name = call.text(0, "operator name");
  const std::string overload = call.missing(1) ? "" : call.text(1, "overload name");
  return to_js(call.env(), static_cast<double>(call.state().operators.resolve(name, overload)));
}

const Operator& operator_at(const Call& call) {
  uint32_t id = 0;
  if (call.count() == 0 || napi_get_value_uint32(call.env(), call[0], &id) != napi_ok) {
    throw CoreError("M3L_ARGUMENT", "operator id: expected a number");
  }
  return call.state().operators.at(id);
}

napi_value schema(Call& call) {
  return to_js(call.env(), c10::toString(operator_at(call).handle.schema()));
}

/// Leaves the stack empty however the call ends, and lends its memory to the next one.
class StackLoan {
 public:
  explicit StackLoan(torch::jit::Stack& stack) : stack_(stack) { stack_.clear(); }
  ~StackLoan() { stack_.clear(); }
  StackLoan(const StackLoan&) = delete;
  StackLoan& operator=(const StackLoan&) = delete;

 private:
  torch::jit::Stack& stack_;
};

bool out_of_memory(const std::exception& error) {
  const std::string message = error.what();
  return dynamic_cast<const c10::OutOfMemoryError*>(&error) != nullptr ||
         dynamic_cast<const std::bad_alloc*>(&error) != nullptr ||
         message.find("not enough memory") != std::string::npos ||
         message.find("can't allocate memory") != std::string::npos;
}

void push_arguments(const Call& call, const Operator& op) {
  torch::jit::Stack& stack = call.state().stack;
  for (size_t i = 0; i < op.arguments.size(); ++i) {
    stack.push_back(argument_to_ivalue(call.state(), op.arguments[i], call[i + 1]));
  }
}

bool wants_gradient(const c10::IValue& value) {
  if (value.isTensor()) {
    return value.unsafeToTensorImpl()->requires_grad();
  }
  if (!value.isList()) {
    return false;
  }
  const auto elements = value.toListRef();
  return std::ranges::any_of(elements, [](const c10::IValue& element) {
    return element.isTensor() && element.unsafeToTensorImpl()->requires_grad();
  });
}

/// Autograd's layer records nothing where no argument asks for a gradient, and costs a tenth of a
/// small operator's call. What watches views and changes in place lies below it and stays.
void call_boxed(const Operator& op, torch::jit::Stack& stack) {
  if (op.native && std::ranges::none_of(stack, wants_gradient)) {
    const c10::impl::ExcludeDispatchKeyGuard below(c10::autograd_dispatch_keyset);
    op.handle.callBoxed(stack);
  } else {
    op.handle.callBoxed(stack);
  }
}

void run(const Call& call, const Operator& op) {
  torch::jit::Stack& stack = call.state().stack;
  push_arguments(call, op);
  try {
    call_boxed(op, stack);
  } catch (const std::exception& error) {
    if (!out_of_memory(error)) {
      throw;
    }
    stack.clear();
    call.state().tracker.collect();
    if (at::hasCUDA()) {
      at::getDeviceAllocator(c10::DeviceType::CUDA)->emptyCache();
    }
    push_arguments(call, op);
    call_boxed(op, stack);
  }
}

napi_value result_at(const Call& call, const Operator& op, size_t index) {
  const auto& aliased = op.aliased_argument[index];
  if (aliased.has_value() && *aliased + 1 < call.count()) {
    return call[*aliased + 1];
  }
  return ivalue_to_js(call.state(), std::move(call.state().stack[index]));
}

napi_value call_operator(Call& call) {
  const Operator& op = operator_at(call);
  const StackLoan loan(call.state().stack);
  call.state().handles.forget_large();
  try {
    if (call.count() > op.arguments.size() + 1) {
      throw CoreError("M3L_ARGUMENT", "expected at most " + std::to_string(op.arguments.size()) +
                                          " arguments, found " + std::to_string(call.count() - 1));
    }
    run(call, op);
    const size_t results = op.aliased_argument.size();
    if (results == 1) {
      return result_at(call, op, 0);
    }
    if (results == 0) {
      return undefined(call.env());
    }
    napi_value array = nullptr;
    check(call.env(), napi_create_array_with_length(call.env(), results, &array), "results");
    for (size_t i = 0; i < results; ++i) {
      napi_set_element(call.env(), array, static_cast<uint32_t>(i), result_at(call, op, i));
    }
    return array;
  } catch (...) {
    rethrow_to_js(call.env(), &call.state(), op.name);
  }
  return nullptr;
}

}  // namespace

Exports operator_exports() {
  return {{"operators", entry<operators>},
          {"resolve", entry<resolve>},
          {"schema", entry<schema>},
          {"call", entry<call_operator>}};
}

}  // namespace m3l
