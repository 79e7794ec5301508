// ATen's half types are CUDA's own by another name: the kernels, which know no ATen, take the
// latter.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <optional>

#include "../torch.h"

namespace m3l::cuda {

template <typename T>
struct NativeType {
  using Type = T;
};
template <>
struct NativeType<at::Half> {
  using Type = __half;
};
template <>
struct NativeType<at::BFloat16> {
  using Type = __nv_bfloat16;
};

/** The data of a tensor of T; null where the tensor is undefined. */
template <typename T>
const typename NativeType<T>::Type* Native(const at::Tensor& tensor) {
  if (!tensor.defined()) {
    return nullptr;
  }
  return reinterpret_cast<const typename NativeType<T>::Type*>(tensor.const_data_ptr<T>());
}

template <typename T>
const typename NativeType<T>::Type* Native(const std::optional<at::Tensor>& tensor) {
  return tensor ? Native<T>(*tensor) : nullptr;
}

template <typename T>
typename NativeType<T>::Type* MutableNative(const at::Tensor& tensor) {
  if (!tensor.defined()) {
    return nullptr;
  }
  return reinterpret_cast<typename NativeType<T>::Type*>(tensor.mutable_data_ptr<T>());
}

}  // namespace m3l::cuda
