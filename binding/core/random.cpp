// Seeds and generators. A generator lives as long as its JavaScript object.
#include <mutex>

#include "call.h"
#include "devices.h"
#include "values.h"

namespace m3l {

namespace {

uint64_t seed_at(const Call& call, size_t index) {
  return static_cast<uint64_t>(call.integer(index, "seed"));
}

/// One of JavaScript's, or a device's default: the CPU's where none is given.
at::Generator generator_at(const Call& call, size_t index) {
  if (call.missing(index)) {
    return at::globalContext().defaultGenerator(c10::DeviceType::CPU);
  }
  if (call[index].IsString()) {
    return at::globalContext().defaultGenerator(device_of(call.text(index, "device")));
  }
  return generator_of(call[index]);
}

void manual_seed(const Call& call) { at::manual_seed(seed_at(call, 0)); }

Napi::Value new_generator(const Call& call) {
  const c10::Device device = device_of(call.missing(0) ? "cpu" : call.text(0, "device"));
  at::Generator made = device.is_cpu() ? at::detail::createCPUGenerator()
                                       : at::globalContext()
                                             .getAcceleratorHooksInterface(device.type())
                                             .getNewGenerator(with_index(device).index());
  auto external = Napi::External<at::Generator>::New(
      call.env(), new at::Generator(std::move(made)),
      [](Napi::Env /*env*/, at::Generator* generator) { delete generator; });
  external.TypeTag(&kGenerator);
  return external;
}

void generator_seed(const Call& call) {
  at::Generator generator = generator_at(call, 0);
  const std::lock_guard<std::mutex> lock(generator.mutex());
  generator.set_current_seed(seed_at(call, 1));
}

at::Tensor generator_state(const Call& call) {
  at::Generator generator = generator_at(call, 0);
  const std::lock_guard<std::mutex> lock(generator.mutex());
  return generator.get_state();
}

void set_generator_state(const Call& call) {
  at::Generator generator = generator_at(call, 0);
  const at::Tensor& state = call.tensor(1);
  const std::lock_guard<std::mutex> lock(generator.mutex());
  generator.set_state(state);
}

Napi::Value initial_seed(const Call& call) {
  return Napi::BigInt::New(call.env(), generator_at(call, 0).current_seed());
}

}  // namespace

void export_random(Exports& exports) {
  exports.add<manual_seed>("manualSeed");
  exports.add<new_generator>("newGenerator");
  exports.add<generator_seed>("generatorSeed");
  exports.add<generator_state>("generatorState");
  exports.add<set_generator_state>("setGeneratorState");
  exports.add<initial_seed>("initialSeed");
}

}  // namespace m3l
