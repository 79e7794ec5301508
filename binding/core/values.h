// JavaScript values to the dispatcher's and back, as an operator's schema asks.
#pragma once

#include "call.h"

namespace m3l {

/// The value of argument `plan`; `value` may be nullptr (not given).
c10::IValue argument_to_ivalue(Environment& state, const ArgumentPlan& plan, napi_value value);
napi_value ivalue_to_js(Environment& state, c10::IValue&& value);
at::Generator& generator_of(napi_env env, napi_value value);

}  // namespace m3l
