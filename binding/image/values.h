// Passes over all stored values of a picture.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace m3l::image {

/// The least and the greatest value; `greatest` is -1 where there is none.
struct Extremes {
  int32_t least;
  int32_t greatest;
};

/// Of the values that are not `hole` (-1: none is).
template <class Value>
Extremes extremes(const Value* values, size_t count, double hole);

/// The same of values of any type, as doubles: of those that are finite and none of `holes`; least
/// is above greatest where there is none.
struct MeasuredExtremes {
  double least;
  double greatest;
};

template <class Value>
MeasuredExtremes measure(std::span<const Value> values, std::span<const double> holes);

/// value - base of each value, NaN for those that are not finite or one of `holes`. `out` may be
/// `values`.
template <class Value>
void to_floats(std::span<const Value> values, double base, std::span<const double> holes,
               float* out);

/// Raw label values to classes by a table of what each value becomes, 256 for none. Gives the index
/// of the first value that is none, or `count`. `out` may be `values`.
template <class Value>
size_t look_up(const Value* values, size_t count, std::span<const uint16_t> table, uint8_t* out);

/// Raw label values to classes: `offset` is subtracted, and what lies below it, or is 255, becomes
/// 255 (void). Gives the index of the first value that is no class and not void, or `count`. `out`
/// may be `values`.
template <class Value>
size_t to_classes(const Value* values, size_t count, int32_t classes, int32_t offset, uint8_t* out);

}  // namespace m3l::image
