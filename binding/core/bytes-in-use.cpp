#include "bytes-in-use.h"

#include <ATen/detail/CUDAHooksInterface.h>

#include "torch.h"

namespace m3l {

namespace {

/// Calls `visit` with each device that keeps a count. What was not used yet is not woken for it.
template <typename Visit>
void each_device(const Visit& visit) {
  if (const auto cpu = cpu_bytes_in_use(); cpu.has_value()) {
    visit(c10::Device(c10::kCPU), *cpu);
  }
  if (!at::hasCUDA()) {
    return;
  }
  const auto& cuda = at::detail::getCUDAHooks();
  auto* allocator = at::getDeviceAllocator(c10::kCUDA);
  if (!allocator->initialized()) {
    return;
  }
  for (c10::DeviceIndex index = 0; index < cuda.deviceCount(); ++index) {
    if (cuda.hasPrimaryContext(index)) {
      const auto stats = allocator->getDeviceStats(index);
      visit(c10::Device(c10::kCUDA, index),
            static_cast<uint64_t>(stats.allocated_bytes[0].current));
    }
  }
}

}  // namespace

std::map<std::string, uint64_t> bytes_in_use_by_device() {
  std::map<std::string, uint64_t> by_device;
  each_device([&](c10::Device device, uint64_t bytes) { by_device[device.str()] = bytes; });
  return by_device;
}

uint64_t bytes_in_use() {
  uint64_t total = 0;
  each_device([&](c10::Device /*device*/, uint64_t bytes) { total += bytes; });
  return total;
}

}  // namespace m3l
