// The part of an axis that the host knows: registrations include no device code, which needs nvcc.
#pragma once

namespace m3l::cuda {

/**
 * From `from` inputs to `to` outputs. kAligned: the first and the last output lie on the first and
 * the last input (align_corners true), else pixels are areas.
 */
template <typename T, bool kAligned = true>
struct BilinearScale {
  int from;
  int to;
  T scale;

  BilinearScale() = default;
  BilinearScale(int inputs, int outputs) : from(inputs), to(outputs), scale(0) {
    if (!kAligned) {
      scale = static_cast<T>(inputs) / static_cast<T>(outputs);
    } else if (outputs > 1) {
      scale = static_cast<T>(inputs - 1) / static_cast<T>(outputs - 1);
    }
  }
};

}  // namespace m3l::cuda
