// Errors by whose text lib/torch/distributed knows their code: operators have no other way to say
// it.
#pragma once

#include <string>
#include <vector>

#include "torch.h"

namespace m3l::distributed {

/// Throws "CODE: message", the code without its M3L_DISTRIBUTED_.
template <typename... Parts>
[[noreturn]] void fail(const char* code, const Parts&... parts) {
  C10_THROW_ERROR(Error, c10::str("M3L_DISTRIBUTED_", code, ": ", parts...));
}

/// The message of the exception being handled, without libtorch's stacks and addresses of code.
std::string reason();

/// "rank 1", "ranks 1, 2".
std::string ranks_text(const std::vector<int64_t>& ranks);

/// "30 s", "0.5 s".
std::string seconds_text(std::chrono::milliseconds duration);

}  // namespace m3l::distributed
