// What the elements of tensors are computed in; of the host too.
#pragma once

namespace m3l::cuda {

/** double for double, else float. */
template <typename T>
struct Computes {
  using Type = float;
};
template <>
struct Computes<double> {
  using Type = double;
};
template <typename T>
using ComputesIn = typename Computes<T>::Type;

}  // namespace m3l::cuda
