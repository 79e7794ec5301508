#include "values.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>
#include <vector>

namespace m3l::image {

namespace {

constexpr int32_t kVoid = 255;
constexpr uint16_t kNone = 256;

/// Whether a value was measured: finite, and none of the holes, which are compared as the file's
/// type holds them.
template <class Value>
class Measured {
 public:
  explicit Measured(std::span<const double> holes) {
    for (const double hole : holes) {
      const bool narrows = std::is_same_v<Value, float>;
      holes_.push_back(narrows ? static_cast<double>(static_cast<float>(hole)) : hole);
    }
  }

  bool operator()(Value value) const {
    if constexpr (std::is_floating_point_v<Value>) {
      if (!std::isfinite(value)) {
        return false;
      }
    }
    const auto number = static_cast<double>(value);
    return std::none_of(holes_.begin(), holes_.end(),
                        [number](double hole) { return hole == number; });
  }

 private:
  std::vector<double> holes_;
};

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

template <class Value>
MeasuredExtremes measure(std::span<const Value> values, std::span<const double> holes) {
  const Measured<Value> measured(holes);
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  MeasuredExtremes found{kInfinity, -kInfinity};
  for (const Value value : values) {
    if (measured(value)) {
      found.least = std::min(found.least, static_cast<double>(value));
      found.greatest = std::max(found.greatest, static_cast<double>(value));
    }
  }
  return found;
}

template <class Value>
void to_floats(std::span<const Value> values, double base, std::span<const double> holes,
               float* out) {
  const Measured<Value> measured(holes);
  for (size_t i = 0; i < values.size(); ++i) {
    const Value value = values[i];
    out[i] = measured(value) ? static_cast<float>(static_cast<double>(value) - base)
                             : std::numeric_limits<float>::quiet_NaN();
  }
}

template <class Value>
size_t look_up(const Value* values, size_t count, std::span<const uint16_t> table, uint8_t* out) {
  for (size_t i = 0; i < count; ++i) {
    const size_t raw = values[i];
    const uint16_t found = raw < table.size() ? table[raw] : kNone;
    if (found >= kNone) {
      return i;
    }
    out[i] = static_cast<uint8_t>(found);
  }
  return count;
}

template Extremes extremes(const uint8_t*, size_t, double);
template Extremes extremes(const uint16_t*, size_t, double);
template size_t to_classes(const uint8_t*, size_t, int32_t, int32_t, uint8_t*);
template size_t to_classes(const uint16_t*, size_t, int32_t, int32_t, uint8_t*);
template size_t look_up(const uint8_t*, size_t, std::span<const uint16_t>, uint8_t*);
template size_t look_up(const uint16_t*, size_t, std::span<const uint16_t>, uint8_t*);
template MeasuredExtremes measure(std::span<const uint8_t>, std::span<const double>);
template MeasuredExtremes measure(std::span<const uint16_t>, std::span<const double>);
template MeasuredExtremes measure(std::span<const int16_t>, std::span<const double>);
template MeasuredExtremes measure(std::span<const int32_t>, std::span<const double>);
template MeasuredExtremes measure(std::span<const uint32_t>, std::span<const double>);
template MeasuredExtremes measure(std::span<const float>, std::span<const double>);
template MeasuredExtremes measure(std::span<const double>, std::span<const double>);
template void to_floats(std::span<const uint8_t>, double, std::span<const double>, float*);
template void to_floats(std::span<const uint16_t>, double, std::span<const double>, float*);
template void to_floats(std::span<const int16_t>, double, std::span<const double>, float*);
template void to_floats(std::span<const int32_t>, double, std::span<const double>, float*);
template void to_floats(std::span<const uint32_t>, double, std::span<const double>, float*);
template void to_floats(std::span<const float>, double, std::span<const double>, float*);
template void to_floats(std::span<const double>, double, std::span<const double>, float*);

}  // namespace m3l::image
