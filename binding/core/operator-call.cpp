// One generic boxed call of any operator, by id. Small operators are called a million times a
// second, so that the arguments are read with Node-API's C functions.
#include "operator-call.h"

#include "memory-retry.h"

namespace m3l {

namespace {

/// The memory of one call's stack, lent to the next. A call inside a call, such as of a getter in a
/// list, finds none and has its own.
class StackLoan {
 public:
  explicit StackLoan(torch::jit::Stack& home) : home_(home), stack_(std::move(home)) {
    home_.clear();
    stack_.clear();
  }
  ~StackLoan() {
    stack_.clear();
    home_ = std::move(stack_);
  }
  StackLoan(const StackLoan&) = delete;
  StackLoan& operator=(const StackLoan&) = delete;

  torch::jit::Stack& stack() { return stack_; }

 private:
  torch::jit::Stack& home_;
  torch::jit::Stack stack_;
};

/// Also where it carries a tangent, of forward differentiation.
bool wants_gradient(const at::Tensor& tensor) {
  const c10::TensorImpl* impl = tensor.unsafeGetTensorImpl();
  return impl->requires_grad() ||
         (impl->autograd_meta() != nullptr && tensor._fw_grad(/*level=*/0).defined());
}

bool wants_gradient(const c10::IValue& value) {
  if (value.isTensor()) {
    return wants_gradient(value.toTensor());
  }
  if (!value.isList()) {
    return false;
  }
  const auto elements = value.toListRef();
  return std::ranges::any_of(elements, [](const c10::IValue& element) {
    return element.isTensor() && wants_gradient(element.toTensor());
  });
}

}  // namespace

void push_arguments(const Arguments& arguments, const Operator& op, torch::jit::Stack& stack) {
  Environment& state = arguments.state();
  for (size_t i = 0; i < op.arguments.size(); ++i) {
    stack.push_back(argument_to_ivalue(state, op.arguments[i], arguments[i], stack));
  }
}

/// Autograd's layer records nothing where no argument asks for a gradient, and costs a tenth of a
/// small operator's call. What watches views and changes in place lies below it and stays.
void call_boxed(const Operator& op, torch::jit::Stack& stack) {
  if (op.native &&
      std::ranges::none_of(stack, [](const c10::IValue& value) { return wants_gradient(value); })) {
    const c10::impl::ExcludeDispatchKeyGuard below(c10::autograd_dispatch_keyset);
    op.handle.callBoxed(stack);
  } else {
    op.handle.callBoxed(stack);
  }
}

namespace {

void run(const Arguments& arguments, const Operator& op, torch::jit::Stack& stack) {
  Environment& state = arguments.state();
  const auto call = [&] {
    stack.clear();
    push_arguments(arguments, op, stack);
    call_boxed(op, stack);
  };
  // What writes in place may have written some of it: a second time would count twice.
  if (op.writes) {
    call();
  } else {
    retried(state, call);
  }
}

napi_value call_with(const Arguments& arguments, const Operator& op) {
  Environment& state = arguments.state();
  StackLoan loan(state.stack);
  try {
    arguments.check_count(op);
    run(arguments, op, loan.stack());
    return results(state, op, [&](size_t index) {
      const auto& aliased = op.aliased_argument[index];
      return aliased.has_value() && *aliased < arguments.count()
                 ? written_to_js(state, {state.env, arguments[*aliased]})
                 : ivalue_to_js(state, std::move(loan.stack()[index]));
    });
  } catch (...) {
    rethrow_to_js(state, op.name);
  }
  return nullptr;
}

}  // namespace

napi_value call_operator(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  try {
    return call_with(arguments, arguments.called());
  } catch (...) {
    rethrow_to_js(arguments.state(), "");
  }
  return nullptr;
}

}  // namespace m3l
