// libtorch's warnings as JavaScript's own.
#pragma once

#include <napi.h>

#include "torch.h"

namespace m3l {

/// Takes this thread's warnings from its making to its end, and gives them to `listener`.
class Warnings : public c10::WarningHandler {
 public:
  Warnings();
  ~Warnings() override;
  Warnings(const Warnings&) = delete;
  Warnings& operator=(const Warnings&) = delete;

  void process(const c10::Warning& warning) override;

  /// Called with the text of each; without one they go to the standard error, as libtorch has it.
  Napi::FunctionReference listener;
};

}  // namespace m3l
