// The addon's entry: one Environment for each JavaScript environment that loads it.
#include <malloc.h>

#include <cstdlib>
#include <memory>

#include "call.h"
#include "large-blocks.h"

namespace m3l {

namespace {

/// A training step frees and asks for the same large blocks again; glibc's defaults give each back
/// to the kernel and pay for the page faults anew. Fast bins are consolidated, all of them, at
/// every large free, which made an unscoped operator call twice as slow. Only where the user has
/// not set his own.
void keep_freed_memory() {
  mallopt(M_MXFAST, 0);
  if (std::getenv("MALLOC_MMAP_THRESHOLD_") == nullptr) {
    mallopt(M_MMAP_THRESHOLD, 1 << 30);
  }
  if (std::getenv("MALLOC_TRIM_THRESHOLD_") == nullptr) {
    mallopt(M_TRIM_THRESHOLD, 512 << 20);
  }
  if (std::getenv("MALLOC_TOP_PAD_") == nullptr) {
    mallopt(M_TOP_PAD, 64 << 20);
  }
}

void define(napi_env env, napi_value exports, Environment* state, const Exports& functions) {
  for (const Export& function : functions) {
    napi_value value = nullptr;
    check(env,
          napi_create_function(env, function.name, NAPI_AUTO_LENGTH, function.callback, state,
                               &value),
          function.name);
    check(env, napi_set_named_property(env, exports, function.name, value), function.name);
  }
}

napi_value initialise(napi_env env, napi_value exports) {
  try {
    keep_freed_memory();
    use_large_block_allocator();
    auto state = std::make_unique<Environment>(env);
    Environment* raw = state.get();
    check(env,
          napi_set_instance_data(
              env, raw,
              [](napi_env, void* data, void*) {
                auto* ended = static_cast<Environment*>(data);
                end_profile_of(ended);
                delete ended;
              },
              nullptr),
          "instance data");
    static_cast<void>(state.release());
    for (const Exports& functions : {operator_exports(), scope_exports(), buffer_exports(),
                                     tensor_exports(), autograd_exports(), random_exports(),
                                     precision_exports(), profiler_exports(), system_exports()}) {
      define(env, exports, raw, functions);
    }
  } catch (...) {
    rethrow_to_js(env, nullptr, "m3l_core");
  }
  return exports;
}

}  // namespace

}  // namespace m3l

NAPI_MODULE_INIT() { return m3l::initialise(env, exports); }
