#include "../cuda_device.h"

#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAFunctions.h>
#include <cuda_runtime_api.h>

namespace m3l {
namespace {

CudaDeviceProperties PropertiesOf(c10::Device device) {
  const int index = device.has_index() ? device.index() : c10::cuda::current_device();
  cudaDeviceProp properties{};
  C10_CUDA_CHECK(cudaGetDeviceProperties(&properties, index));
  return {properties.name, properties.major, properties.minor,
          static_cast<int64_t>(properties.totalGlobalMem), properties.multiProcessorCount};
}

[[maybe_unused]] const bool kInUse = [] {
  CudaDevicePropertiesInUse() = PropertiesOf;
  return true;
}();

}  // namespace
}  // namespace m3l
