// Properties of CUDA devices for whoever calls operators by name: the core links no CUDA.
#include "cuda_device.h"

namespace m3l {

CudaDevicePropertiesOf& CudaDevicePropertiesInUse() {
  static CudaDevicePropertiesOf properties = nullptr;
  return properties;
}

namespace {

CudaDeviceProperties PropertiesOf(c10::Device device) {
  TORCH_CHECK(CudaDevicePropertiesInUse() != nullptr,
              "cuda_device_properties: m3l_kernels was built without CUDA, expected it with; build "
              "it where "
              "the CUDA toolkit is (cmake -DM3L_CUDA=ON)");
  TORCH_CHECK(device.is_cuda(), "cuda_device_properties: device is ", device,
              ", expected a CUDA device");
  return CudaDevicePropertiesInUse()(device);
}

// No tensor among the arguments says which device's kernel to take, so there is one for all.
M3L_OPERATORS(library) {
  library.def(
      "cuda_device_properties(Device device) -> (str name, int major, int minor, int memory, int "
      "multiprocessors)",
      PropertiesOf);
}

}  // namespace
}  // namespace m3l
