#include "memory-retry.h"

#include <array>
#include <cstdio>

#include "bytes-in-use.h"
#include "devices.h"

namespace m3l {

namespace {

/// More than V8 lets external memory grow by, whatever its own heap may have: it collects all at
/// once, where the tracker's pressure may only have it begin.
constexpr int64_t kPressureBytes = int64_t{1} << 42;

std::string gigabytes(uint64_t bytes) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.2f GB", static_cast<double>(bytes) / 1e9);
  return text.data();
}

}  // namespace

void free_unused(Environment& state) {
  state.tracker.collect(kPressureBytes);
  empty_device_cache();
}

std::string memory_in_use() {
  std::string text = "in use:";
  for (const auto& [device, bytes] : bytes_in_use_by_device()) {
    text += " " + device + " " + gigabytes(bytes);
  }
  return text;
}

}  // namespace m3l
