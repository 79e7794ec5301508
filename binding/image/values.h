// Passes over all stored values of a picture.
#pragma once

#include <cstddef>
#include <cstdint>

namespace m3l::image {

/// The least and the greatest value; `greatest` is -1 where there is none.
struct Extremes {
  int32_t least;
  int32_t greatest;
};

/// Of the values that are not `hole` (-1: none is).
template <class Value>
Extremes extremes(const Value* values, size_t count, double hole);

/// Raw label values to classes: `offset` is subtracted, and what lies below it, or is 255, becomes
/// 255 (void). Gives the index of the first value that is no class and not void, or `count`. `out`
/// may be `values`.
template <class Value>
size_t to_classes(const Value* values, size_t count, int32_t classes, int32_t offset, uint8_t* out);

}  // namespace m3l::image
