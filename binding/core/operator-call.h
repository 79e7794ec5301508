// One boxed call of an operator by id: its arguments from JavaScript, and the call.
#pragma once

#include <algorithm>
#include <array>

#include "call.h"
#include "values.h"

namespace m3l {

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

  /// Throws M3L_ARGUMENT where there are more than `op` has.
  void check_count(const Operator& op) const {
    if (count() > op.arguments.size()) {
      throw CoreError("M3L_ARGUMENT", "expected at most " + std::to_string(op.arguments.size()) +
                                          " arguments, found " + std::to_string(count()));
    }
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

/// The arguments of `op`, for call_boxed.
void push_arguments(const Arguments& arguments, const Operator& op, torch::jit::Stack& stack);
/// What JavaScript gets of a call: nothing, its one result, or an array of them; `result_at` gives
/// each.
template <typename ResultAt>
Napi::Value results(const Environment& state, const Operator& op, const ResultAt& result_at) {
  const size_t count = op.aliased_argument.size();
  if (count == 1) {
    return result_at(0);
  }
  if (count == 0) {
    return state.env.Undefined();
  }
  const Napi::Array array = Napi::Array::New(state.env, count);
  for (uint32_t i = 0; i < count; ++i) {
    array.Set(i, result_at(i));
  }
  return array;
}
/// Calls `op` on whichever thread this is: the stack's arguments become its results.
void call_boxed(const Operator& op, torch::jit::Stack& stack);

}  // namespace m3l
