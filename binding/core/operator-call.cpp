// One generic boxed call of any operator, by id. Small operators are called a million times a
// second, so that the arguments are read with Node-API's C functions.
#include <algorithm>
#include <array>

#include "call.h"
#include "values.h"

namespace m3l {

namespace {

/// What call(id, …arguments) was given.
class Arguments {
 public:
  Arguments(napi_env env, napi_callback_info info) {
    void* data = nullptr;
    size_t given = kFew;
    napi_get_cb_info(env, info, &given, few_.data(), nullptr, &data);
    state_ = static_cast<Environment*>(data);
    if (given > kFew) {
      values_ = many_.data();
      size_t room = kMany;
      napi_get_cb_info(env, info, &room, many_.data(), nullptr, nullptr);
    }
    count_ = given;
  }

  [[nodiscard]] Environment& state() const { return *state_; }
  [[nodiscard]] const Operator& called() const {
    uint32_t id = 0;
    if (count_ == 0 || napi_get_value_uint32(state_->env, values_[0], &id) != napi_ok) {
      throw CoreError("M3L_ARGUMENT", "operator id: expected a number");
    }
    return state_->operators.at(id);
  }

  /// Those of the operator, without its id.
  [[nodiscard]] size_t count() const { return count_ - 1; }
  /// nullptr beyond the last one.
  napi_value operator[](size_t index) const {
    return index + 1 < std::min(count_, kMany) ? values_[index + 1] : nullptr;
  }

 private:
  // Each place that is not needed is filled, so that most calls have few. No operator has as many
  // as there are places in the larger array.
  static constexpr size_t kFew = 10;
  static constexpr size_t kMany = 128;

  Environment* state_ = nullptr;
  size_t count_ = 0;
  std::array<napi_value, kFew> few_;
  std::array<napi_value, kMany> many_;
  const napi_value* values_ = few_.data();
};

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

void push_arguments(const Arguments& arguments, const Operator& op, torch::jit::Stack& stack) {
  Environment& state = arguments.state();
  for (size_t i = 0; i < op.arguments.size(); ++i) {
    stack.push_back(argument_to_ivalue(state, op.arguments[i], arguments[i], stack));
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

void run(const Arguments& arguments, const Operator& op, torch::jit::Stack& stack) {
  Environment& state = arguments.state();
  push_arguments(arguments, op, stack);
  try {
    call_boxed(op, stack);
  } catch (const std::exception& error) {
    // What writes in place may have written some of it: a second time would count twice.
    if (op.writes || !is_out_of_memory(error)) {
      throw;
    }
    stack.clear();
    state.tracker.collect();
    if (at::hasCUDA()) {
      at::getDeviceAllocator(c10::DeviceType::CUDA)->emptyCache();
    }
    push_arguments(arguments, op, stack);
    call_boxed(op, stack);
  }
}

napi_value result_at(const Arguments& arguments, const Operator& op, torch::jit::Stack& stack,
                     size_t index) {
  const auto& aliased = op.aliased_argument[index];
  if (aliased.has_value() && *aliased < arguments.count()) {
    return arguments[*aliased];
  }
  return ivalue_to_js(arguments.state(), std::move(stack[index]));
}

napi_value results(const Arguments& arguments, const Operator& op, torch::jit::Stack& stack) {
  const size_t count = op.aliased_argument.size();
  if (count == 1) {
    return result_at(arguments, op, stack, 0);
  }
  if (count == 0) {
    return arguments.state().env.Undefined();
  }
  const Napi::Array array = Napi::Array::New(arguments.state().env, count);
  for (uint32_t i = 0; i < count; ++i) {
    array.Set(i, result_at(arguments, op, stack, i));
  }
  return array;
}

napi_value call_with(const Arguments& arguments, const Operator& op) {
  Environment& state = arguments.state();
  StackLoan loan(state.stack);
  state.handles.forget_large();
  try {
    if (arguments.count() > op.arguments.size()) {
      throw CoreError("M3L_ARGUMENT", "expected at most " + std::to_string(op.arguments.size()) +
                                          " arguments, found " + std::to_string(arguments.count()));
    }
    run(arguments, op, loan.stack());
    return results(arguments, op, loan.stack());
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
