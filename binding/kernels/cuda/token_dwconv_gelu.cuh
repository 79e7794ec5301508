#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace m3l::cuda {

/** Tokens [batch, height · width, channels]. */
struct TokenGrid {
  int batch;
  int height;
  int width;
  int channels;
};

/** T: as stored; A: as computed, double for double, else float. `taps` [10, C]: nine, and the bias.
 * y = GELU(convolution of x + bias). */
template <typename T, typename A>
void LaunchTokenDwconvGelu(const T* x, const A* taps, const TokenGrid& grid, T* y,
                           cudaStream_t stream);

/** How many partial sums LaunchTokenDwconvGeluBackward writes. */
template <typename T>
int TokenDwconvSlots(const TokenGrid& grid);

/** From the gradient of y those of x and of the taps: `partial` [slots, 10, C] is scratch,
 * `taps_gradient` [10, C]. y itself goes to `activated`, unless null. */
template <typename T, typename A>
void LaunchTokenDwconvGeluBackward(const T* gradient, const T* x, const A* taps,
                                   const TokenGrid& grid, T* x_gradient, T* activated, A* partial,
                                   A* taps_gradient, cudaStream_t stream);

}  // namespace m3l::cuda
