// JavaScript values to the dispatcher's and back, as an operator's schema asks. Arguments are read
// with Node-API's C functions: one call tells both whether a value is a number and which.
#pragma once

#include "call.h"

namespace m3l {

/// The value of argument `plan`; `value` may be nullptr (not given). `before`: the arguments that
/// are converted already.
c10::IValue argument_to_ivalue(Environment& state, const ArgumentPlan& plan, napi_value value,
                               const torch::jit::Stack& before);
Napi::Value ivalue_to_js(Environment& state, c10::IValue&& value);
/// What the externals of generators, and no others, are tagged with.
inline constexpr napi_type_tag kGenerator = {0x6d336c2d67656e65, 0x7261746f72000001};
at::Generator& generator_of(Napi::Value value);

}  // namespace m3l
