// Everything one JavaScript environment (main thread or worker) owns. No global of this addon holds
// a tensor, a Node-API value or a cached operator: environments never see each other.
#pragma once

#include <napi.h>

#include <memory>
#include <unordered_map>
#include <vector>

#include "handle-table.h"
#include "js-thread.h"
#include "operator-table.h"
#include "torch.h"
#include "tracker.h"
#include "warnings.h"

namespace m3l {

/// What autocast was on a device before a region of it began.
struct AutocastMode {
  c10::DeviceType device;
  bool enabled;
  c10::ScalarType dtype;
};

/// What an asynchronous call of an operator has left, until it is asked for.
struct AsyncResult {
  const Operator* op;
  torch::jit::Stack stack;
  /// Of each result that an argument is, the argument's handle; 0 of the others.
  std::vector<double> written;
};

/// What a function of JavaScript's is given and answers, while it runs.
struct Exchange {
  std::vector<at::Tensor> inputs;
  std::vector<std::vector<at::Tensor>> results;
  bool answered;
};

struct Environment {
  explicit Environment(Napi::Env environment)
      : env(environment),
        tracker(environment, handles),
        js_thread(std::make_shared<JsThread>(environment)) {}
  /// Ends the profile that this environment began, if one runs.
  ~Environment();
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

  Napi::Env env;
  HandleTable handles;
  OperatorTable operators;
  Tracker tracker;
  torch::jit::Stack stack;
  std::vector<std::unique_ptr<c10::InferenceMode>> inference_modes;
  std::vector<AutocastMode> autocast_modes;
  std::unordered_map<uint32_t, AsyncResult> results;
  uint32_t next_result = 1;
  /// Threads of autograd's may ask for it when all else here is gone.
  std::shared_ptr<JsThread> js_thread;
  std::unordered_map<uint32_t, Exchange*> exchanges;
  uint32_t next_exchange = 1;
  /// lib/'s M3lError, made of a code and a message.
  Napi::FunctionReference error_class;
  Warnings warnings;
};

}  // namespace m3l
