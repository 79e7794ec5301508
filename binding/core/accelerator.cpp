// CUDA devices: how many there are, the current one, waiting for one, and its memory. By libtorch's
// interfaces for any device: nothing of CUDA is linked.
#include "async-work.h"
#include "call.h"
#include "devices.h"

namespace m3l {

namespace {

int device_count(const Call& /*call*/) { return cuda_device_count(); }

bool available(const Call& /*call*/) { return cuda_device_count() > 0; }

int current_device(const Call& call) { return call.device(0).index(); }

/// exchangeDevice(device): the index of the one before.
int exchange_device(const Call& call) {
  const c10::Device device = call.device(0);
  return guard_of(device).exchangeDevice(device).index();
}

void synchronize(const Call& call) {
  const c10::Device device = call.device(0);
  guard_of(device).synchronizeDevice(device.index());
}

Napi::Value synchronize_async(const Call& call) {
  const c10::Device device = call.device(0);
  return run_async(call.state(), "",
                   [device] { guard_of(device).synchronizeDevice(device.index()); });
}

/// It keeps no figures before the device's first use.
c10::DeviceAllocator& allocator_of(c10::Device device) {
  at::globalContext().lazyInitDevice(device.type());
  return *at::getDeviceAllocator(device.type());
}

void add(Napi::Object to, const std::string& name,
         const c10::CachingAllocator::StatArray& statistics) {
  // The sum over the allocator's pools of small and of large blocks.
  const auto& [current, peak, allocated, freed] = statistics[0];
  to.Set(name + ".current", static_cast<double>(current));
  to.Set(name + ".peak", static_cast<double>(peak));
  to.Set(name + ".allocated", static_cast<double>(allocated));
  to.Set(name + ".freed", static_cast<double>(freed));
}

Napi::Value memory_statistics(const Call& call) {
  const c10::Device device = call.device(0);
  const auto stats = allocator_of(device).getDeviceStats(device.index());
  const Napi::Object result = Napi::Object::New(call.env());
  add(result, "allocatedBytes", stats.allocated_bytes);
  add(result, "requestedBytes", stats.requested_bytes);
  add(result, "activeBytes", stats.active_bytes);
  add(result, "reservedBytes", stats.reserved_bytes);
  add(result, "inactiveSplitBytes", stats.inactive_split_bytes);
  add(result, "allocations", stats.allocation);
  add(result, "segments", stats.segment);
  result.Set("allocationRetries", static_cast<double>(stats.num_alloc_retries));
  result.Set("outOfMemory", static_cast<double>(stats.num_ooms));
  return result;
}

/// Bytes that the driver has to give, and all that the device has.
Napi::Value device_memory(const Call& call) {
  const c10::Device device = call.device(0);
  const auto [free, total] = allocator_of(device).getMemoryInfo(device.index());
  const Napi::Object result = Napi::Object::New(call.env());
  result.Set("free", static_cast<double>(free));
  result.Set("total", static_cast<double>(total));
  return result;
}

void reset_peak_memory(const Call& call) {
  const c10::Device device = call.device(0);
  allocator_of(device).resetPeakStats(device.index());
}

void empty_cache(const Call& /*call*/) { empty_device_cache(); }

}  // namespace

void export_accelerator(Exports& exports) {
  exports.add<available>("cudaAvailable");
  exports.add<device_count>("cudaDeviceCount");
  exports.add<current_device>("currentDevice");
  exports.add<exchange_device>("exchangeDevice");
  exports.add<synchronize>("synchronizeDevice");
  exports.add<synchronize_async>("synchronizeDeviceAsync");
  exports.add<memory_statistics>("memoryStatistics");
  exports.add<device_memory>("deviceMemory");
  exports.add<reset_peak_memory>("resetPeakMemory");
  exports.add<empty_cache>("emptyCache");
}

}  // namespace m3l
