#pragma once

#include "torch.h"

namespace m3l {

/** The hyper-parameters of one call; `dynamic`, where defined, stands for four of them. */
struct AdamwOptions {
  double lr;
  double beta1;
  double beta2;
  double eps;
  double weight_decay;
  double ema_factor;
  /** float64 [4] on the parameters' device: lr, 1 − beta1^step, 1 − beta2^step, ema_factor. */
  at::Tensor dynamic;
};

/**
 * One AdamW step on lists of tensors; i-th tensors have one shape, dtype and device.
 * `steps`: float32 scalars on the CPU, each raised by one; empty where `scalars` says what they
 * would. `teachers`, or an empty list: teacher ← ema_factor · teacher + (1 − ema_factor) · new
 * parameter.
 */
using AdamwEma = void(at::TensorList parameters, at::TensorList gradients, at::TensorList exp_avgs,
                      at::TensorList exp_avg_sqs, at::TensorList steps, at::TensorList teachers,
                      double lr, double beta1, double beta2, double eps, double weight_decay,
                      double ema_factor, const std::optional<at::Tensor>& scalars);

/** The checked lists of one call, each tensor laid out in memory as its parameter is. */
struct AdamwLists {
  std::vector<at::Tensor> parameters;
  std::vector<at::Tensor> gradients;
  std::vector<at::Tensor> exp_avgs;
  std::vector<at::Tensor> exp_avg_sqs;
  std::vector<at::Tensor> teachers;
  /** Of each parameter, after this step; empty with `scalars`. */
  std::vector<double> steps;
};

/** What a device does with the lists. */
using AdamwKernel = void (*)(const AdamwLists& lists, const AdamwOptions& options);

/** Checks the arguments, counts the steps, runs `kernel`, and copies back what it had laid out
 * anew. */
void RunAdamwEma(AdamwKernel kernel, at::TensorList parameters, at::TensorList gradients,
                 at::TensorList exp_avgs, at::TensorList exp_avg_sqs, at::TensorList steps,
                 at::TensorList teachers, const AdamwOptions& options);

}  // namespace m3l
