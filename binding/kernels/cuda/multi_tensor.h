#pragma once

#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "../torch.h"

namespace m3l::cuda {

/** CUDA's own name of a c10 type. */
template <typename T>
struct NativeOf {
  using Type = T;
};
template <>
struct NativeOf<c10::Half> {
  using Type = __half;
};
template <>
struct NativeOf<c10::BFloat16> {
  using Type = __nv_bfloat16;
};
template <typename T>
using Native = typename NativeOf<T>::Type;

template <typename T>
Native<T>* Mutable(const at::Tensor& tensor) {
  return reinterpret_cast<Native<T>*>(tensor.mutable_data_ptr<T>());
}

template <typename T>
const Native<T>* Const(const at::Tensor& tensor) {
  return reinterpret_cast<const Native<T>*>(tensor.const_data_ptr<T>());
}

}  // namespace m3l::cuda
