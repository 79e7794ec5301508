#include "values.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "devices.h"
#include "integers.h"

namespace m3l {

namespace {

[[noreturn]] void refuse(napi_env env, const ArgumentPlan& plan, napi_value value) {
  throw CoreError("M3L_ARGUMENT", "argument '" + plan.name + "': expected " + plan.type +
                                      ", found " + describe({env, value}));
}

bool is_missing(napi_env env, napi_value value) {
  napi_valuetype type = napi_undefined;
  napi_typeof(env, value, &type);
  return type == napi_undefined || type == napi_null;
}

int64_t to_integer(napi_env env, const ArgumentPlan& plan, napi_value value) {
  const auto integer = integer_of(env, value);
  if (!integer.has_value()) {
    refuse(env, plan, value);
  }
  return *integer;
}

double to_double(napi_env env, const ArgumentPlan& plan, napi_value value) {
  double number = 0;
  if (napi_get_value_double(env, value, &number) != napi_ok) {
    refuse(env, plan, value);
  }
  return number;
}

bool to_boolean(napi_env env, const ArgumentPlan& plan, napi_value value) {
  bool flag = false;
  if (napi_get_value_bool(env, value, &flag) != napi_ok) {
    refuse(env, plan, value);
  }
  return flag;
}

std::string to_text(napi_env env, const ArgumentPlan& plan, napi_value value) {
  napi_valuetype type = napi_undefined;
  napi_typeof(env, value, &type);
  if (type != napi_string) {
    refuse(env, plan, value);
  }
  return Napi::String(env, value);
}

bool is_floating(const c10::IValue& value) {
  return value.isTensor() &&
         (value.toTensor().is_floating_point() || value.toTensor().is_complex());
}

/// [2] is the float 2, [1, 2] the complex number 1 + 2i: what JavaScript has no number for.
at::Scalar said_scalar(napi_env env, const ArgumentPlan& plan, napi_value value) {
  bool is_array = false;
  napi_is_array(env, value, &is_array);
  const Napi::Array parts = is_array ? Napi::Array(env, value) : Napi::Array();
  if (!is_array || parts.Length() == 0 || parts.Length() > 2) {
    refuse(env, plan, value);
  }
  const double real = to_double(env, plan, parts.Get(0U));
  if (parts.Length() == 1) {
    return {real};
  }
  return {c10::complex<double>(real, to_double(env, plan, parts.Get(1U)))};
}

/// Integral numbers are integer scalars, as 2 and 2.0 differ in Python but not in JavaScript. So is
/// -0, unless a tensor before it has a use for its sign.
at::Scalar to_scalar(napi_env env, const ArgumentPlan& plan, napi_value value,
                     const torch::jit::Stack& before) {
  double number = 0;
  if (napi_get_value_double(env, value, &number) == napi_ok) {
    const bool integral = number == std::floor(number) && std::abs(number) < 0x1p63;
    const bool negative_zero = number == 0 && std::signbit(number);
    return integral && !(negative_zero && std::ranges::any_of(before, is_floating))
               ? at::Scalar(static_cast<int64_t>(number))
               : at::Scalar(number);
  }
  napi_valuetype type = napi_undefined;
  napi_typeof(env, value, &type);
  if (type == napi_boolean) {
    return {to_boolean(env, plan, value)};
  }
  if (type == napi_bigint) {
    return {to_integer(env, plan, value)};
  }
  return said_scalar(env, plan, value);
}

const at::Tensor& to_tensor(Environment& state, const ArgumentPlan& plan, napi_value value) {
  double number = 0;
  if (napi_get_value_double(state.env, value, &number) != napi_ok) {
    refuse(state.env, plan, value);
  }
  const at::Tensor* tensor = number > 0 ? state.handles.find(static_cast<Handle>(number)) : nullptr;
  // Only the failure pays for the message.
  return tensor != nullptr ? *tensor : tensor_of(state, value, "argument '" + plan.name + "': ");
}

c10::IValue to_element(Environment& state, const ArgumentPlan& plan, napi_value value,
                       const torch::jit::Stack& before) {
  napi_env env = state.env;
  switch (plan.kind) {
    case Kind::kTensor:
      return {to_tensor(state, plan, value)};
    case Kind::kInt:
      return {to_integer(env, plan, value)};
    case Kind::kFloat:
      return {to_double(env, plan, value)};
    case Kind::kBool:
      return {to_boolean(env, plan, value)};
    case Kind::kScalar:
      return {to_scalar(env, plan, value, before)};
    case Kind::kString:
      return {to_text(env, plan, value)};
    case Kind::kDevice:
      return {device_of(to_text(env, plan, value))};
    case Kind::kGenerator:
      return {generator_of({env, value})};
    case Kind::kUnsupported:
      break;
  }
  throw CoreError("M3L_UNSUPPORTED_TYPE", "argument '" + plan.name + "': a value of type " +
                                              plan.type + " cannot be made from JavaScript yet");
}

napi_value element_at(napi_env env, napi_value array, uint32_t index) {
  napi_value element = nullptr;
  if (napi_get_element(env, array, index, &element) != napi_ok) {
    throw Napi::Error::New(env);
  }
  return element;
}

template <typename Element, typename Convert>
c10::IValue to_list(napi_env env, napi_value array, uint32_t length, Convert convert) {
  c10::List<Element> list;
  list.reserve(length);
  for (uint32_t i = 0; i < length; ++i) {
    list.push_back(convert(element_at(env, array, i)));
  }
  return {std::move(list)};
}

c10::IValue to_list_value(Environment& state, const ArgumentPlan& plan, napi_value value,
                          const torch::jit::Stack& before) {
  napi_env env = state.env;
  uint32_t length = 0;
  if (napi_get_array_length(env, value, &length) != napi_ok) {
    // A single integer or float stands for a whole list of the fixed size, as in Python.
    if (plan.kind == Kind::kInt) {
      const auto size = static_cast<size_t>(plan.fixed_size.value_or(1));
      return {std::vector<int64_t>(size, to_integer(env, plan, value))};
    }
    if (plan.kind == Kind::kFloat) {
      const auto size = static_cast<size_t>(plan.fixed_size.value_or(1));
      return {std::vector<double>(size, to_double(env, plan, value))};
    }
    refuse(env, plan, value);
  }
  switch (plan.kind) {
    case Kind::kTensor:
      if (plan.element_optional) {
        return to_list<std::optional<at::Tensor>>(env, value, length, [&](napi_value element) {
          return is_missing(env, element)
                     ? std::optional<at::Tensor>()
                     : std::optional<at::Tensor>(to_tensor(state, plan, element));
        });
      }
      return to_list<at::Tensor>(
          env, value, length, [&](napi_value element) { return to_tensor(state, plan, element); });
    case Kind::kInt:
      return to_list<int64_t>(env, value, length,
                              [&](napi_value element) { return to_integer(env, plan, element); });
    case Kind::kFloat:
      return to_list<double>(env, value, length,
                             [&](napi_value element) { return to_double(env, plan, element); });
    case Kind::kBool:
      return to_list<bool>(env, value, length,
                           [&](napi_value element) { return to_boolean(env, plan, element); });
    case Kind::kString:
      return to_list<std::string>(env, value, length,
                                  [&](napi_value element) { return to_text(env, plan, element); });
    case Kind::kScalar: {
      c10::impl::GenericList list(c10::NumberType::get());
      for (uint32_t i = 0; i < length; ++i) {
        list.push_back(c10::IValue(to_scalar(env, plan, element_at(env, value, i), before)));
      }
      return list;
    }
    default:
      return to_element(state, plan, value, before);
  }
}

Napi::Value list_to_js(Environment& state, c10::ArrayRef<c10::IValue> values) {
  const Napi::Array array = Napi::Array::New(state.env, values.size());
  for (uint32_t i = 0; i < values.size(); ++i) {
    array.Set(i, ivalue_to_js(state, c10::IValue(values[i])));
  }
  return array;
}

}  // namespace

at::Generator& generator_of(Napi::Value value) {
  if (!value.IsExternal() || !value.As<Napi::External<at::Generator>>().CheckTypeTag(&kGenerator)) {
    throw CoreError("M3L_ARGUMENT", "expected a generator, found " + describe(value));
  }
  return *value.As<Napi::External<at::Generator>>().Data();
}

c10::IValue argument_to_ivalue(Environment& state, const ArgumentPlan& plan, napi_value value,
                               const torch::jit::Stack& before) {
  if (value != nullptr && plan.kind == Kind::kTensor && !plan.list && !plan.optional) {
    return {to_tensor(state, plan, value)};
  }
  napi_valuetype type = napi_undefined;
  if (value != nullptr) {
    napi_typeof(state.env, value, &type);
  }
  if (type == napi_undefined) {
    if (plan.default_value.has_value()) {
      return *plan.default_value;
    }
    if (plan.optional) {
      return {};
    }
    throw CoreError("M3L_ARGUMENT",
                    "argument '" + plan.name + "': expected " + plan.type + ", found nothing");
  }
  if (type == napi_null) {
    if (!plan.optional) {
      refuse(state.env, plan, value);
    }
    return {};
  }
  return plan.list ? to_list_value(state, plan, value, before)
                   : to_element(state, plan, value, before);
}

Napi::Value ivalue_to_js(Environment& state, c10::IValue&& value) {
  if (value.isTensor()) {
    return to_js(state, std::move(value).toTensor());
  }
  if (value.isNone()) {
    return state.env.Null();
  }
  if (value.isInt()) {
    return to_js(state, value.toInt());
  }
  if (value.isDouble()) {
    return to_js(state, value.toDouble());
  }
  if (value.isBool()) {
    return to_js(state, value.toBool());
  }
  if (value.isString()) {
    return to_js(state, value.toStringRef());
  }
  if (value.isDevice()) {
    return to_js(state, value.toDevice().str());
  }
  if (value.isSymInt()) {
    return to_js(state, value.toSymInt().guard_int(__FILE__, __LINE__));
  }
  if (value.isTuple()) {
    const auto tuple = value.toTuple();
    const auto& elements = tuple->elements();
    return list_to_js(state, c10::ArrayRef<c10::IValue>(elements.begin(), elements.end()));
  }
  if (value.isList()) {
    return list_to_js(state, value.toListRef());
  }
  if (value.isIntList() || value.isDoubleList() || value.isBoolList() || value.isTensorList()) {
    const auto list = value.toList().vec();
    return list_to_js(state, list);
  }
  if (value.isScalar()) {
    return to_js(state, value.toScalar());
  }
  throw CoreError("M3L_UNSUPPORTED_TYPE",
                  "a result of type " + value.tagKind() + " cannot be given to JavaScript yet");
}

}  // namespace m3l
