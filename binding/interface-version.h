// The version of what the native files and lib/ agree on. Raise it, and the number in
// lib/torch/interface-version.ts with it, whenever a file built before would no longer do: a
// function, an operator or its schema is gone, takes or gives something else, or lib/ needs a new
// one.
#pragma once

namespace m3l {

inline constexpr int kInterfaceVersion = 4;

}  // namespace m3l
