// The operators of the dispatcher: their schemas, and their ids.
#include "call.h"

namespace m3l {

napi_value call_operator(napi_env env, napi_callback_info info);

namespace {

Napi::Value operators(const Call& call) {
  const Napi::Array array = Napi::Array::New(call.env());
  uint32_t index = 0;
  for (const auto& name : c10::Dispatcher::singleton().getAllOpNames()) {
    const auto handle = c10::Dispatcher::singleton().findSchema(name);
    if (handle.has_value()) {
      array.Set(index++, c10::toString(handle->schema()));
    }
  }
  return array;
}

uint32_t resolve(const Call& call) {
  const std::string name = call.text(0, "operator name");
  const std::string overload = call.missing(1) ? "" : call.text(1, "overload name");
  return call.state().operators.resolve(name, overload);
}

std::string schema(const Call& call) {
  const double id = call.number(0, "operator id");
  return c10::toString(call.state().operators.at(static_cast<uint32_t>(id)).handle.schema());
}

}  // namespace

void export_operators(Exports& exports) {
  exports.add<operators>("operators");
  exports.add<resolve>("resolve");
  exports.add<schema>("schema");
  exports.add("call", call_operator);
}

}  // namespace m3l
