// Everything one JavaScript environment (main thread or worker) owns. No global of this addon holds
// a tensor, a Node-API value or a cached operator: environments never see each other.
#pragma once

#include <node_api.h>

#include <memory>
#include <vector>

#include "handle-table.h"
#include "operator-table.h"
#include "torch.h"
#include "tracker.h"

namespace m3l {

/// What autocast was on a device before a region of it began.
struct AutocastMode {
  c10::DeviceType device;
  bool enabled;
  c10::ScalarType dtype;
};

struct Environment {
  explicit Environment(napi_env environment) : env(environment), tracker(environment, handles) {}

  napi_env env;
  HandleTable handles;
  OperatorTable operators;
  Tracker tracker;
  torch::jit::Stack stack;
  std::vector<std::unique_ptr<c10::InferenceMode>> inference_modes;
  std::vector<AutocastMode> autocast_modes;
  napi_ref error_class = nullptr;
};

}  // namespace m3l
