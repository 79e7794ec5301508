// What only CUDA's own interface tells of a device, where the library was built with CUDA.
#pragma once

#include <cstdint>
#include <string>
#include <tuple>

#include "torch.h"

namespace m3l {

/** Name, compute capability (major and minor), bytes of memory, multiprocessors. */
using CudaDeviceProperties = std::tuple<std::string, int64_t, int64_t, int64_t, int64_t>;

using CudaDevicePropertiesOf = CudaDeviceProperties (*)(c10::Device device);

/** Set by the CUDA sources when the library that has them is opened. */
CudaDevicePropertiesOf& CudaDevicePropertiesInUse();

}  // namespace m3l
