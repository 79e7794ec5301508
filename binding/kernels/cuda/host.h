// What the functions that call the kernels from tensors need of libtorch, and where they are
// registered.
#pragma once

#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include "../torch.h"

/** As M3L_KERNELS(CUDA, library). Where kernels are emulated, the tensors are on the CPU. */
#ifdef M3L_EMULATED_CUDA
#define M3L_CUDA_KERNELS(library) M3L_KERNELS(CPU, library)
#else
#define M3L_CUDA_KERNELS(library) M3L_KERNELS(CUDA, library)
#endif
