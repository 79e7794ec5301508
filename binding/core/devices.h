// Devices by name, and which of them and of their streams a thread works on.
#pragma once

#include <ATen/ThreadLocalState.h>
#include <c10/core/Stream.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>

#include <optional>
#include <string>
#include <vector>

namespace m3l {

/// How many CUDA devices libtorch sees: 0 without CUDA, without a driver, without a device.
c10::DeviceIndex cuda_device_count();

/// Throws M3L_NO_CUDA where there is no CUDA device at all, M3L_DEVICE where there is not that one.
c10::Device device_of(const std::string& name);

/// What is current on this thread is meant where a name has no index; the CPU has none.
c10::Device with_index(c10::Device device);

const c10::impl::DeviceGuardImplInterface& guard_of(c10::Device device);

/// Waits for all devices where these are page-locked bytes, which a copy may write without
/// anybody's waiting for it.
void await_copies_to(const void* data);

/// Gives what the devices' allocators keep unused back to the driver.
void empty_device_cache();

/// What libtorch's calls on a thread depend on: its modes, the current device, and the current
/// stream of each device. The latter two are no part of at::ThreadLocalState.
class ThreadState {
 public:
  /// As it is on this thread.
  ThreadState();

  /// Has it on this thread too, until the end.
  class Guard {
   public:
    explicit Guard(const ThreadState& state);
    ~Guard();
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;

   private:
    at::ThreadLocalStateGuard modes_;
    std::optional<c10::Device> device_;
    std::vector<c10::Stream> streams_;
  };

 private:
  at::ThreadLocalState modes_;
  std::optional<c10::Device> device_;
  std::vector<c10::Stream> streams_;
};

}  // namespace m3l
