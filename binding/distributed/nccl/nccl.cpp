// The process group of NCCL, for tensors on CUDA devices.
#ifndef USE_C10D_NCCL
#define USE_C10D_NCCL
#endif

#include <torch/library.h>

#include <cstdlib>
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>

#include "../nccl-factory.h"

namespace m3l::distributed {

namespace {

c10::intrusive_ptr<c10d::Backend> make(const c10::intrusive_ptr<c10d::Store>& store, int rank,
                                       int size, std::chrono::milliseconds timeout) {
  // NCCL's watchdog would end the process where a peer is lost; whoever waits throws instead.
  setenv("TORCH_NCCL_BLOCKING_WAIT", "1", 0);
  auto options = c10d::ProcessGroupNCCL::Options::create();
  options->timeout = timeout;
  return c10::make_intrusive<c10d::ProcessGroupNCCL>(store, rank, size, options);
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(m3l_distributed, library) {
  library.def("nccl_factory() -> int", [] { return reinterpret_cast<int64_t>(&make); });
}

}  // namespace m3l::distributed
