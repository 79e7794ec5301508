#include "values.h"

#include <algorithm>

namespace m3l::image {

namespace {

constexpr int32_t kVoid = 255;

}  // namespace

template <class Value>
Extremes extremes(const Value* values, size_t count, double hole) {
  constexpr auto kMost = static_cast<Value>(-1);
  const bool representable = hole >= 0 && hole <= kMost;
  const auto skipped = static_cast<Value>(representable ? hole : 0);
  const bool skips = representable && skipped == hole;
  Value least = kMost;
  Value greatest = 0;
  bool found = false;
  if (skips) {
    // A hole counts as the worst of either kind.
    for (size_t i = 0; i < count; ++i) {
      const Value value = values[i];
      const bool counts = value != skipped;
      least = std::min(least, counts ? value : kMost);
      greatest = std::max(greatest, counts ? value : Value{0});
      found |= counts;
    }
  } else {
    for (size_t i = 0; i < count; ++i) {
      least = std::min(least, values[i]);
      greatest = std::max(greatest, values[i]);
    }
    found = count > 0;
  }
  return found ? Extremes{least, greatest} : Extremes{kMost, -1};
}

template <class Value>
size_t to_classes(const Value* values, size_t count, int32_t classes, int32_t offset,
                  uint8_t* out) {
  constexpr size_t kBlock = 4096;
  for (size_t start = 0; start < count; start += kBlock) {
    const size_t end = std::min(count, start + kBlock);
    const auto is_none = [&](int32_t raw) { return raw != kVoid && raw - offset >= classes; };
    int32_t none = 0;
    for (size_t i = start; i < end; ++i) {
      none |= static_cast<int32_t>(is_none(values[i]));
    }
    if (none != 0) {
      return static_cast<size_t>(std::find_if(values + start, values + end, is_none) - values);
    }
    for (size_t i = start; i < end; ++i) {
      const int32_t raw = values[i];
      out[i] = static_cast<uint8_t>(raw == kVoid || raw < offset ? kVoid : raw - offset);
    }
  }
  return count;
}

template Extremes extremes(const uint8_t*, size_t, double);
template Extremes extremes(const uint16_t*, size_t, double);
template size_t to_classes(const uint8_t*, size_t, int32_t, int32_t, uint8_t*);
template size_t to_classes(const uint16_t*, size_t, int32_t, int32_t, uint8_t*);

}  // namespace m3l::image
