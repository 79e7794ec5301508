// TorchScript: modules that PyTorch has compiled, loaded and run.
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/serialization/import.h>

#include "async-work.h"
#include "call.h"
#include "devices.h"
#include "values.h"

namespace m3l {

namespace {

using Script = torch::jit::Module;

constexpr napi_type_tag kScript = {0x9c1f7b52a3d84e60, 0xb7a4615d0e2f3c88};

Script& script_at(const Call& call) {
  const Napi::Value value = call[0];
  if (!value.IsExternal() || !value.As<Napi::External<Script>>().CheckTypeTag(&kScript)) {
    throw CoreError("M3L_ARGUMENT", "expected a script module, found " + describe(value));
  }
  return *value.As<Napi::External<Script>>().Data();
}

/// scriptLoad(path, device)
Napi::Value script_load(const Call& call) {
  const c10::Device device = device_of(call.text(1, "device"));
  auto module = std::make_unique<Script>(torch::jit::load(call.text(0, "path"), device));
  auto external = Napi::External<Script>::New(call.env(), module.release(),
                                              [](Napi::Env /*env*/, Script* gone) { delete gone; });
  external.TypeTag(&kScript);
  return external;
}

/// What a method gives: a tensor as `{ tensor: handle }`, a list or tuple as an array, a dictionary
/// as an array of pairs in `{ pairs }`, all else as it is.
Napi::Value result_to_js(Environment& state, const c10::IValue& value);

template <typename Values>
Napi::Array results_to_js(Environment& state, const Values& values) {
  const Napi::Array array = Napi::Array::New(state.env, values.size());
  uint32_t index = 0;
  for (const c10::IValue& value : values) {
    array.Set(index++, result_to_js(state, value));
  }
  return array;
}

Napi::Value result_to_js(Environment& state, const c10::IValue& value) {
  if (value.isTensor()) {
    const Napi::Object tensor = Napi::Object::New(state.env);
    tensor.Set("tensor", to_js(state, value.toTensor()));
    return tensor;
  }
  if (value.isTuple()) {
    return results_to_js(state, value.toTupleRef().elements());
  }
  if (value.isList()) {
    return results_to_js(state, value.toList().vec());
  }
  if (value.isGenericDict()) {
    const Napi::Array pairs = Napi::Array::New(state.env);
    for (const auto& entry : value.toGenericDict()) {
      const std::vector<c10::IValue> pair = {entry.key(), entry.value()};
      pairs.Set(pairs.Length(), results_to_js(state, pair));
    }
    const Napi::Object dictionary = Napi::Object::New(state.env);
    dictionary.Set("pairs", pairs);
    return dictionary;
  }
  return ivalue_to_js(state, c10::IValue(value));
}

/// A method and its arguments, from script…(module, name, arguments).
struct Invocation {
  torch::jit::Method method;
  std::vector<c10::IValue> arguments;
};

Invocation invocation_at(const Call& call) {
  Script& module = script_at(call);
  const std::string name = call.text(1, "method");
  const auto found = module.find_method(name);
  if (!found.has_value()) {
    std::string names;
    for (const auto& method : module.get_methods()) {
      names += (names.empty() ? "" : ", ") + method.name();
    }
    throw CoreError("M3L_ARGUMENT", "the module has no method '" + name + "'; it has " + names);
  }
  const auto& expected = found->function().getSchema().arguments();
  const auto given = call[2].As<Napi::Array>();
  // The first is the module.
  if (given.Length() >= expected.size()) {
    throw CoreError("M3L_ARGUMENT", name + ": found " + std::to_string(given.Length()) +
                                        " arguments, expected " +
                                        std::to_string(expected.size() - 1) + " at most");
  }
  Invocation invocation{*found, {}};
  for (size_t i = 1; i < expected.size(); ++i) {
    const Napi::Value value =
        i <= given.Length() ? given.Get(static_cast<uint32_t>(i - 1)) : call.env().Undefined();
    invocation.arguments.push_back(
        argument_to_ivalue(call.state(), plan_of(expected[i]), value, invocation.arguments));
  }
  return invocation;
}

Napi::Value script_call(const Call& call) {
  Invocation invocation = invocation_at(call);
  return result_to_js(call.state(), invocation.method(std::move(invocation.arguments)));
}

/// A promise of a number that scriptResult gives the result for, once.
Napi::Value script_call_async(const Call& call) {
  Environment& state = call.state();
  const auto invocation = std::make_shared<Invocation>(invocation_at(call));
  const auto result = std::make_shared<c10::IValue>();
  return run_async(
      state, "",
      [invocation, result] { *result = invocation->method(std::move(invocation->arguments)); },
      [&state, result]() -> Napi::Value {
        const uint32_t id = state.next_result++;
        state.results.emplace(id, AsyncResult{nullptr, {std::move(*result)}, {}});
        return Napi::Number::New(state.env, id);
      });
}

Napi::Value script_result(const Call& call) {
  auto taken = call.state().results.extract(static_cast<uint32_t>(call.integer(0, "result")));
  if (taken.empty() || taken.mapped().op != nullptr) {
    throw CoreError("M3L_ARGUMENT", "scriptResult(): no call has this number, or it was taken");
  }
  return result_to_js(call.state(), taken.mapped().stack.front());
}

Napi::Value script_methods(const Call& call) {
  const Napi::Array names = Napi::Array::New(call.env());
  for (const auto& method : script_at(call).get_methods()) {
    names.Set(names.Length(), method.name());
  }
  return names;
}

/// Parameters and buffers by name, `[name, handle]` each: the module's own, not copies.
Napi::Value script_state(const Call& call) {
  const Script& module = script_at(call);
  const Napi::Array entries = Napi::Array::New(call.env());
  const auto add = [&](const std::string& name, const at::Tensor& tensor) {
    const Napi::Array entry = Napi::Array::New(call.env(), 2);
    entry.Set(0U, name);
    entry.Set(1U, to_js(call.state(), tensor));
    entries.Set(entries.Length(), entry);
  };
  for (const auto& parameter : module.named_parameters()) {
    add(parameter.name, parameter.value);
  }
  for (const auto& buffer : module.named_buffers()) {
    add(buffer.name, buffer.value);
  }
  return entries;
}

void script_train(const Call& call) { script_at(call).train(call.boolean(1, "training")); }

void script_to(const Call& call) { script_at(call).to(device_of(call.text(1, "device"))); }

}  // namespace

void export_script(Exports& exports) {
  exports.add<script_load>("scriptLoad");
  exports.add<script_call>("scriptCall");
  exports.add<script_call_async>("scriptCallAsync");
  exports.add<script_result>("scriptResult");
  exports.add<script_methods>("scriptMethods");
  exports.add<script_state>("scriptState");
  exports.add<script_train>("scriptTrain");
  exports.add<script_to>("scriptTo");
}

}  // namespace m3l
