// JavaScript values to the dispatcher's and back, as an operator's schema asks. Arguments are read
// with Node-API's C functions: one call tells both whether a value is a number and which.
#pragma once

#include "call.h"

namespace m3l {

/// The value of argument `plan`; `value` may be nullptr (not given).
c10::IValue argument_to_ivalue(Environment& state, const ArgumentPlan& plan, napi_value value);
Napi::Value ivalue_to_js(Environment& state, c10::IValue&& value);
at::Generator& generator_of(Napi::Value value);

}  // namespace m3l
