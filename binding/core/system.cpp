// Threads, versions, and what is in memory.
#include <ATen/Version.h>
#include <torch/headeronly/version.h>

#include <map>
#include <unordered_set>
#include <vector>

#include "bytes-in-use.h"
#include "call.h"

namespace m3l {

namespace {

int thread_count(const Call& call) {
  const int64_t count = call.integer(0, "threads");
  if (count < 1 || count > 4096) {
    throw CoreError("M3L_ARGUMENT", "threads: expected 1 to 4096, found " + std::to_string(count));
  }
  return static_cast<int>(count);
}

void set_num_threads(const Call& call) { at::set_num_threads(thread_count(call)); }
int get_num_threads(const Call& /*call*/) { return at::get_num_threads(); }
void set_interop_threads(const Call& call) { at::set_num_interop_threads(thread_count(call)); }
int get_interop_threads(const Call& /*call*/) { return at::get_num_interop_threads(); }

/// Calls `visit` with each storage of a tensor: a sparse one has several, a mere shape none.
template <typename Visit>
void each_storage(const at::Tensor& tensor, const Visit& visit) {
  std::vector<at::Tensor> parts;
  switch (tensor.layout()) {
    case c10::kSparse:
      parts = {tensor._indices(), tensor._values()};
      break;
    case c10::kSparseCsr:
    case c10::kSparseBsr:
      parts = {tensor.crow_indices(), tensor.col_indices(), tensor.values()};
      break;
    case c10::kSparseCsc:
    case c10::kSparseBsc:
      parts = {tensor.ccol_indices(), tensor.row_indices(), tensor.values()};
      break;
    default:
      parts = {tensor};
  }
  for (const at::Tensor& part : parts) {
    if (part.has_storage()) {
      visit(part.storage());
    }
  }
}

/// Bytes once per storage, whatever the number of views of it.
Napi::Value memory(const Call& call) {
  const Environment& state = call.state();
  std::unordered_set<const void*> seen;
  std::map<std::string, double> bytes_by_device;
  double bytes = 0;
  const at::NoGradGuard no_gradients;
  state.handles.for_each([&](const at::Tensor& tensor) {
    each_storage(tensor, [&](const c10::Storage& storage) {
      if (!seen.insert(storage.unsafeGetStorageImpl()).second) {
        return;
      }
      const auto size = static_cast<double>(storage.nbytes());
      bytes += size;
      bytes_by_device[tensor.device().str()] += size;
    });
  });
  const Napi::Object devices = Napi::Object::New(call.env());
  for (const auto& [device, size] : bytes_by_device) {
    devices.Set(device, size);
  }
  const Napi::Object result = Napi::Object::New(call.env());
  result.Set("tensors", static_cast<double>(state.handles.live_count()));
  result.Set("bytes", bytes);
  result.Set("scopes", static_cast<double>(state.handles.scope_count()));
  result.Set("tracked", static_cast<double>(state.tracker.count()));
  result.Set("bytesByDevice", devices);
  const Napi::Object allocated = Napi::Object::New(call.env());
  for (const auto& [device, size] : bytes_in_use_by_device()) {
    allocated.Set(device, static_cast<double>(size));
  }
  result.Set("allocatedByDevice", allocated);
  return result;
}

std::string build_version(const Call& /*call*/) { return TORCH_VERSION; }

std::string config(const Call& /*call*/) { return at::show_config(); }

void set_error_class(const Call& call) {
  if (!call[0].IsFunction()) {
    throw CoreError("M3L_ARGUMENT", "setErrorClass(constructor): expected a class");
  }
  call.state().error_class = Napi::Persistent(call[0].As<Napi::Function>());
}

void set_warning_listener(const Call& call) {
  if (!call[0].IsFunction()) {
    throw CoreError("M3L_ARGUMENT", "setWarningListener(listener): expected a function");
  }
  call.state().warnings.listener = Napi::Persistent(call[0].As<Napi::Function>());
}

}  // namespace

void export_system(Exports& exports) {
  exports.add<set_num_threads>("setNumThreads");
  exports.add<get_num_threads>("getNumThreads");
  exports.add<set_interop_threads>("setInteropThreads");
  exports.add<get_interop_threads>("getInteropThreads");
  exports.add<memory>("memory");
  exports.add<build_version>("buildVersion");
  exports.add<config>("config");
  exports.add<set_error_class>("setErrorClass");
  exports.add<set_warning_listener>("setWarningListener");
}

}  // namespace m3l
