// Autocast and TF32: what precision products are computed in.
#include <ATen/Context.h>
#include <ATen/autocast_mode.h>

#include "call.h"

namespace m3l {

namespace {

c10::DeviceType device_type(const Call& call, size_t index) {
  return c10::Device(call.text(index, "device")).type();
}

/// autocastPush(device, dtype): on until autocastPop(), which brings back what was before.
void autocast_push(const Call& call) {
  const c10::DeviceType device = device_type(call, 0);
  const auto dtype = static_cast<at::ScalarType>(call.integer(1, "dtype"));
  call.state().autocast_modes.push_back({device, at::autocast::is_autocast_enabled(device),
                                         at::autocast::get_autocast_dtype(device)});
  // Narrow only: float32 means off.
  at::autocast::set_autocast_enabled(device, dtype != at::kFloat);
  if (dtype != at::kFloat) {
    at::autocast::set_autocast_dtype(device, dtype);
  }
  at::autocast::increment_nesting();
}

void autocast_pop(const Call& call) {
  auto& modes = call.state().autocast_modes;
  if (modes.empty()) {
    throw CoreError("M3L_ARGUMENT", "autocastPop() without autocastPush()");
  }
  const AutocastMode before = modes.back();
  modes.pop_back();
  at::autocast::set_autocast_enabled(before.device, before.enabled);
  at::autocast::set_autocast_dtype(before.device, before.dtype);
  // The weights' narrow copies are kept for one outermost region.
  if (at::autocast::decrement_nesting() == 0) {
    at::autocast::clear_cache();
  }
}

bool is_autocast_enabled(const Call& call) {
  return at::autocast::is_autocast_enabled(device_type(call, 0));
}

/// For the whole process, as libtorch keeps it.
void set_tf32(const Call& call) {
  const bool allowed = call.boolean(0, "allowed");
  at::globalContext().setAllowTF32CuBLAS(allowed);
  at::globalContext().setAllowTF32CuDNN(allowed);
}

/// Whether products may use TF32, and whether convolutions may.
Napi::Value tf32(const Call& call) {
  const Napi::Array allowed = Napi::Array::New(call.env(), 2);
  allowed.Set(0U, at::globalContext().allowTF32CuBLAS());
  allowed.Set(1U, at::globalContext().allowTF32CuDNN());
  return allowed;
}

}  // namespace

void export_precision(Exports& exports) {
  exports.add<autocast_push>("autocastPush");
  exports.add<autocast_pop>("autocastPop");
  exports.add<is_autocast_enabled>("isAutocastEnabled");
  exports.add<set_tf32>("setTf32");
  exports.add<tf32>("tf32");
}

}  // namespace m3l
