#include "devices.h"

#include <ATen/detail/CUDAHooksInterface.h>

#include "errors.h"
#include "torch.h"

namespace m3l {

namespace {

std::string listed(c10::DeviceIndex count) {
  std::string names = "cuda:0";
  for (c10::DeviceIndex index = 1; index < count; ++index) {
    names += (index + 1 == count ? " and cuda:" : ", cuda:") + std::to_string(index);
  }
  return names;
}

void require_cuda(c10::Device device) {
  const c10::DeviceIndex count = cuda_device_count();
  if (count == 0) {
    throw CoreError("M3L_NO_CUDA",
                    "device '" + device.str() +
                        "' is asked for, and this libtorch sees no CUDA device; see `npx m3l "
                        "doctor` for the reason, or use 'cpu'");
  }
  if (device.index() >= count) {
    throw CoreError("M3L_DEVICE",
                    "device '" + device.str() + "' is not there, expected one of " + listed(count));
  }
}

}  // namespace

c10::DeviceIndex cuda_device_count() {
  return at::hasCUDA() ? c10::impl::getDeviceGuardImpl(c10::kCUDA)->deviceCount() : 0;
}

c10::Device device_of(const std::string& name) {
  const c10::Device device(name);
  if (device.is_cuda()) {
    require_cuda(device);
  }
  return device;
}

c10::Device with_index(c10::Device device) {
  return device.has_index() ? device : guard_of(device).getDevice();
}

const c10::impl::DeviceGuardImplInterface& guard_of(c10::Device device) {
  return *c10::impl::getDeviceGuardImpl(device.type());
}

void await_copies_to(const void* data) {
  const c10::DeviceIndex count = cuda_device_count();
  if (count == 0 || data == nullptr) {
    return;
  }
  const auto& cuda = at::detail::getCUDAHooks();
  if (!cuda.isPinnedPtr(data)) {
    return;
  }
  for (c10::DeviceIndex index = 0; index < count; ++index) {
    if (cuda.hasPrimaryContext(index)) {
      guard_of(c10::kCUDA).synchronizeDevice(index);
    }
  }
}

void empty_device_cache() {
  if (cuda_device_count() > 0) {
    at::getDeviceAllocator(c10::kCUDA)->emptyCache();
  }
}

ThreadState::ThreadState() {
  const c10::DeviceIndex count = cuda_device_count();
  if (count == 0) {
    return;
  }
  const auto& guard = guard_of(c10::kCUDA);
  device_ = guard.getDevice();
  for (c10::DeviceIndex index = 0; index < count; ++index) {
    streams_.push_back(guard.getStream({c10::kCUDA, index}));
  }
}

ThreadState::Guard::Guard(const ThreadState& state) : modes_(state.modes_) {
  for (const c10::Stream& stream : state.streams_) {
    streams_.push_back(guard_of(stream.device()).exchangeStream(stream));
  }
  if (state.device_.has_value()) {
    device_ = guard_of(*state.device_).exchangeDevice(*state.device_);
  }
}

ThreadState::Guard::~Guard() {
  if (device_.has_value()) {
    guard_of(*device_).uncheckedSetDevice(*device_);
  }
  for (const c10::Stream& stream : streams_) {
    guard_of(stream.device()).exchangeStream(stream);
  }
}

}  // namespace m3l
