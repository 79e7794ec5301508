// What libtorch has allocated in this process, whoever holds it: JavaScript, a graph, an optimiser,
// another thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace m3l {

/// nullopt where an allocator is in use that keeps no count.
std::optional<uint64_t> cpu_bytes_in_use();
/// By device, of those that keep a count: `cpu`, `cuda:0`, …
std::map<std::string, uint64_t> bytes_in_use_by_device();
/// Of all of them.
uint64_t bytes_in_use();

}  // namespace m3l
