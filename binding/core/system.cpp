// Threads, devices, versions, and what is in memory.
#include <ATen/Version.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/headeronly/version.h>

#include <map>
#include <unordered_set>

#include "call.h"

namespace m3l {

namespace {

void set_number(napi_env env, napi_value object, const char* name, double value) {
  check(env, napi_set_named_property(env, object, name, to_js(env, value)), name);
}

napi_value new_object(napi_env env) {
  napi_value object = nullptr;
  check(env, napi_create_object(env, &object), "object");
  return object;
}

int thread_count(const Call& call) {
  const int64_t count = call.integer(0, "threads");
  if (count < 1 || count > 4096) {
    throw CoreError("M3L_ARGUMENT", "threads: expected 1 to 4096, found " + std::to_string(count));
  }
  return static_cast<int>(count);
}

napi_value set_num_threads(Call& call) {
  at::set_num_threads(thread_count(call));
  return undefined(call.env());
}

napi_value get_num_threads(Call& call) {
  return to_js(call.env(), static_cast<double>(at::get_num_threads()));
}

napi_value set_interop_threads(Call& call) {
  at::set_num_interop_threads(thread_count(call));
  return undefined(call.env());
}

napi_value get_interop_threads(Call& call) {
  return to_js(call.env(), static_cast<double>(at::get_num_interop_threads()));
}

/// Bytes once per storage, whatever the number of views of it.
napi_value memory(Call& call) {
  const Environment& state = call.state();
  std::unordered_set<const void*> seen;
  std::map<std::string, double> bytes_by_device;
  double bytes = 0;
  state.handles.for_each([&](const at::Tensor& tensor) {
    if (!tensor.has_storage() || !seen.insert(tensor.storage().unsafeGetStorageImpl()).second) {
      return;
    }
    const auto size = static_cast<double>(tensor.storage().nbytes());
    bytes += size;
    bytes_by_device[tensor.device().str()] += size;
  });
  napi_value result = new_object(call.env());
  napi_value devices = new_object(call.env());
  for (const auto& [device, size] : bytes_by_device) {
    set_number(call.env(), devices, device.c_str(), size);
  }
  set_number(call.env(), result, "tensors", static_cast<double>(state.handles.live_count()));
  set_number(call.env(), result, "bytes", bytes);
  set_number(call.env(), result, "scopes", static_cast<double>(state.handles.scope_count()));
  set_number(call.env(), result, "tracked", static_cast<double>(state.tracker.count()));
  check(call.env(), napi_set_named_property(call.env(), result, "bytesByDevice", devices),
        "bytesByDevice");
  return result;
}

bool has_cuda() { return at::hasCUDA(); }

const c10::impl::DeviceGuardImplInterface* cuda_guard() {
  return c10::impl::getDeviceGuardImpl(c10::DeviceType::CUDA);
}

void require_cuda() {
  if (!has_cuda() || cuda_guard()->deviceCount() == 0) {
    throw CoreError("M3L_NO_CUDA",
                    "this libtorch sees no CUDA device; see `npx m3l doctor` for the reason");
  }
}

napi_value cuda_device_count(Call& call) {
  return to_js(call.env(), has_cuda() ? static_cast<double>(cuda_guard()->deviceCount()) : 0.0);
}

napi_value cuda_available(Call& call) {
  return to_js(call.env(), has_cuda() && cuda_guard()->deviceCount() > 0);
}

c10::DeviceIndex cuda_index(const Call& call) {
  require_cuda();
  const c10::Device device(call.missing(0) ? "cuda" : call.text(0, "device"));
  return device.has_index() ? device.index() : cuda_guard()->getDevice().index();
}

napi_value cuda_synchronize(Call& call) {
  const c10::DeviceIndex index = cuda_index(call);
  cuda_guard()->synchronizeDevice(index);
  return undefined(call.env());
}

napi_value cuda_memory(Call& call) {
  const c10::DeviceIndex index = cuda_index(call);
  const auto stats = at::getDeviceAllocator(c10::DeviceType::CUDA)->getDeviceStats(index);
  napi_value result = new_object(call.env());
  set_number(call.env(), result, "allocated",
             static_cast<double>(stats.allocated_bytes[0].current));
  set_number(call.env(), result, "peak", static_cast<double>(stats.allocated_bytes[0].peak));
  set_number(call.env(), result, "reserved", static_cast<double>(stats.reserved_bytes[0].current));
  return result;
}

napi_value empty_cache(Call& call) {
  if (has_cuda() && cuda_guard()->deviceCount() > 0) {
    at::getDeviceAllocator(c10::DeviceType::CUDA)->emptyCache();
  }
  return undefined(call.env());
}

napi_value build_version(Call& call) { return to_js(call.env(), std::string(TORCH_VERSION)); }

napi_value config(Call& call) { return to_js(call.env(), at::show_config()); }

napi_value set_error_class(Call& call) {
  Environment& state = call.state();
  napi_valuetype type = napi_undefined;
  if (call.count() > 0) {
    napi_typeof(call.env(), call[0], &type);
  }
  if (type != napi_function) {
    throw CoreError("M3L_ARGUMENT", "setErrorClass(constructor): expected a class");
  }
  if (state.error_class != nullptr) {
    napi_delete_reference(call.env(), state.error_class);
    state.error_class = nullptr;
  }
  check(call.env(), napi_create_reference(call.env(), call[0], 1, &state.error_class),
        "setErrorClass");
  return undefined(call.env());
}

}  // namespace

Exports system_exports() {
  return {{"setNumThreads", entry<set_num_threads>},
          {"getNumThreads", entry<get_num_threads>},
          {"setInteropThreads", entry<set_interop_threads>},
          {"getInteropThreads", entry<get_interop_threads>},
          {"memory", entry<memory>},
          {"cudaAvailable", entry<cuda_available>},
          {"cudaDeviceCount", entry<cuda_device_count>},
          {"cudaSynchronize", entry<cuda_synchronize>},
          {"cudaMemory", entry<cuda_memory>},
          {"emptyCache", entry<empty_cache>},
          {"buildVersion", entry<build_version>},
          {"config", entry<config>},
          {"setErrorClass", entry<set_error_class>}};
}

}  // namespace m3l
