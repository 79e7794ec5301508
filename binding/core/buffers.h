// The values of tensors, and the memory of typed arrays.
#pragma once

#include <cstddef>
#include <span>

#include "call.h"

namespace m3l {

using View = std::span<std::byte>;

/// The memory of a typed array or DataView; throws M3L_ARGUMENT for anything else.
View view_of(Napi::Value value);
/// Copies a tensor's values into as many bytes, on whichever thread; throws M3L_SHAPE otherwise.
void copy_values(const at::Tensor& source, View view);

}  // namespace m3l
