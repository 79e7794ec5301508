// NCCL's process group lies in libtorch_cuda, which a libtorch of the CPU does not have: a library
// of its own (nccl/nccl.cpp) makes it, and says by an operator where its function is.
#pragma once

#include <torch/csrc/distributed/c10d/Backend.hpp>
#include <torch/csrc/distributed/c10d/Store.hpp>

namespace m3l::distributed {

using NcclFactory = c10::intrusive_ptr<c10d::Backend> (*)(const c10::intrusive_ptr<c10d::Store>&,
                                                          int rank, int size,
                                                          std::chrono::milliseconds timeout);

/// Throws where that library is not opened.
c10::intrusive_ptr<c10d::Backend> make_nccl(const c10::intrusive_ptr<c10d::Store>& store, int rank,
                                            int size, std::chrono::milliseconds timeout);

}  // namespace m3l::distributed
