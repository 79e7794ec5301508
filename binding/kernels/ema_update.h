#pragma once

#include "torch.h"

namespace m3l {

/** The factor of one call; `dynamic`, where defined, stands for it. */
struct EmaFactor {
  double value;
  /** float64 [1] on the teachers' device. */
  at::Tensor dynamic;
};

/**
 * teacher ← factor · teacher + (1 − factor) · student for lists of tensors; factor 0 copies.
 * `scalar`, float64 [1] on the teachers' device, holds the factor where a captured graph must read
 * it anew at every replay.
 */
using EmaUpdate = void(at::TensorList teachers, at::TensorList students, double factor,
                       const std::optional<at::Tensor>& scalar);

/** `teachers` and `students` of equal layout in memory. */
using EmaKernel = void (*)(const std::vector<at::Tensor>& teachers,
                           const std::vector<at::Tensor>& students, const EmaFactor& factor);

/** Checks the arguments, runs `kernel`, and copies back what it had laid out anew. */
void RunEmaUpdate(EmaKernel kernel, at::TensorList teachers, at::TensorList students,
                  const EmaFactor& factor);

/**
 * `list`, checked against `like` (number, shapes, dtype, device; else an error that names `op` and
 * `name`), each tensor dense and with the strides of its fellow in `like`: a copy where it had not.
 */
std::vector<at::Tensor> LaidOutAs(at::TensorList like, at::TensorList list, const char* op,
                                  const char* name);

/** Copies into `list` those of `laid_out` that LaidOutAs had to make anew. */
void CopyBack(at::TensorList list, const std::vector<at::Tensor>& laid_out);

}  // namespace m3l
