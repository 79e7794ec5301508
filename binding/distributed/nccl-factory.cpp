#include "nccl-factory.h"

#include "errors.h"

namespace m3l::distributed {

c10::intrusive_ptr<c10d::Backend> make_nccl(const c10::intrusive_ptr<c10d::Store>& store, int rank,
                                            int size, std::chrono::milliseconds timeout) {
  const auto factory =
      c10::Dispatcher::singleton().findSchema({"m3l_distributed::nccl_factory", ""});
  if (!factory.has_value()) {
    fail("BACKEND",
         "NCCL needs a libtorch with CUDA and m3l's build for it: take the backend 'gloo'");
  }
  const int64_t address = factory->typed<int64_t()>().call();
  return reinterpret_cast<NcclFactory>(address)(store, rank, size, timeout);
}

}  // namespace m3l::distributed
