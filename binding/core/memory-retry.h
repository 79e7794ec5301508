// What is done where memory is wanting: what nobody holds is released, then once more.
#pragma once

#include "environment.h"
#include "errors.h"

namespace m3l {

/// Releases the tensors that JavaScript has dropped, and what the devices' allocators keep unused.
void free_unused(Environment& state);

/// `work`, and after free_unused once more where it fails for want of memory: it must have written
/// nothing by then that is seen. On the thread of the environment's JavaScript.
template <typename Work>
auto retried(Environment& state, const Work& work) -> decltype(work()) {
  try {
    return work();
  } catch (const std::exception& error) {
    if (!is_out_of_memory(error)) {
      throw;
    }
  }
  free_unused(state);
  return work();
}

/// What libtorch holds, for an error's message: `in use: cpu 1.20 GB cuda:0 79.10 GB`.
std::string memory_in_use();

}  // namespace m3l
