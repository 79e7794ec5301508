// Seeds and generators. A generator lives as long as its JavaScript object.
#include <mutex>

#include "call.h"
#include "values.h"

namespace m3l {

namespace {

uint64_t seed_at(const Call& call, size_t index) {
  return static_cast<uint64_t>(call.integer(index, "seed"));
}

at::Generator generator_at(const Call& call, size_t index) {
  if (call.missing(index)) {
    return at::globalContext().defaultGenerator(c10::DeviceType::CPU);
  }
  return generator_of(call.env(), call[index]);
}

napi_value manual_seed(Call& call) {
  at::manual_seed(seed_at(call, 0));
  return undefined(call.env());
}

napi_value new_generator(Call& call) {
  const c10::Device device(call.missing(0) ? "cpu" : call.text(0, "device"));
  at::Generator made =
      device.is_cpu()
          ? at::detail::createCPUGenerator()
          : at::globalContext()
                .getAcceleratorHooksInterface(device.type())
                .getNewGenerator(device.has_index() ? device.index() : c10::DeviceIndex{0});
  auto generator = std::make_unique<at::Generator>(std::move(made));
  napi_value external = nullptr;
  check(call.env(),
        napi_create_external(
            call.env(), generator.get(),
            [](napi_env, void* data, void*) { delete static_cast<at::Generator*>(data); }, nullptr,
            &external),
        "generator");
  static_cast<void>(generator.release());
  return external;
}

napi_value generator_seed(Call& call) {
  at::Generator generator = generator_at(call, 0);
  const std::lock_guard<std::mutex> lock(generator.mutex());
  generator.set_current_seed(seed_at(call, 1));
  return undefined(call.env());
}

napi_value generator_state(Call& call) {
  at::Generator generator = generator_at(call, 0);
  const std::lock_guard<std::mutex> lock(generator.mutex());
  return tensor_to_js(call.state(), generator.get_state());
}

napi_value set_generator_state(Call& call) {
  at::Generator generator = generator_at(call, 0);
  const at::Tensor& state = call.tensor(1);
  const std::lock_guard<std::mutex> lock(generator.mutex());
  generator.set_state(state);
  return undefined(call.env());
}

napi_value initial_seed(Call& call) {
  napi_value result = nullptr;
  check(call.env(),
        napi_create_bigint_uint64(call.env(), generator_at(call, 0).current_seed(), &result),
        "seed");
  return result;
}

}  // namespace

Exports random_exports() {
  return {{"manualSeed", entry<manual_seed>},
          {"newGenerator", entry<new_generator>},
          {"generatorSeed", entry<generator_seed>},
          {"generatorState", entry<generator_state>},
          {"setGeneratorState", entry<set_generator_state>},
          {"initialSeed", entry<initial_seed>}};
}

}  // namespace m3l
