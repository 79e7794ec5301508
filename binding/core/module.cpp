// The addon's entry: one Environment for each JavaScript environment that loads it.
#include <c10/util/Logging.h>

#include <cstdlib>
#include <functional>
#include <string>

#include "../interface-version.h"
#include "call.h"

#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace m3l {

namespace {

/// A training step frees and asks for the same large blocks again; glibc's defaults give each back
/// to the kernel and pay for the page faults anew. Fast bins are consolidated, all of them, at
/// every large free, which made an unscoped operator call twice as slow. Only where the user has
/// not set his own.
void keep_freed_memory() {
#if defined(__GLIBC__)
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
#endif
}

/// libtorch looks at its own stack for each error that it throws, which takes milliseconds; what is
/// thrown reaches JavaScript without.
void throw_without_backtrace() {
  if (std::getenv("TORCH_SHOW_CPP_STACKTRACES") == nullptr) {
    c10::SetStackTraceFetcher(std::function<std::string()>([] { return std::string(); }));
  }
}

/// Where a processor is none of NNPACK's, libtorch says so at every small convolution. oneDNN does
/// what it would.
void without_nnpack() { at::globalContext().setUserEnabledNNPACK(false); }

Napi::Object initialise(Napi::Env env, Napi::Object exports) {
  keep_freed_memory();
  throw_without_backtrace();
  without_nnpack();
  auto* state = new Environment(env);
  // Which deletes it at the end of the environment.
  env.SetInstanceData(state);
  exports.Set("interfaceVersion", kInterfaceVersion);
  Exports functions(*state, exports);
  export_operators(functions);
  export_scopes(functions);
  export_buffers(functions);
  export_tensors(functions);
  export_autograd(functions);
  export_functions(functions);
  export_random(functions);
  export_precision(functions);
  export_profiler(functions);
  export_system(functions);
  export_accelerator(functions);
  export_streams(functions);
  export_async(functions);
  export_sharing(functions);
  export_script(functions);
  return exports;
}

}  // namespace

NODE_API_MODULE(m3l_core, initialise)

}  // namespace m3l
