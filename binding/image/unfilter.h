// The rows of PNG files (sections 7.2 and 9 of the specification): from filtered bytes to values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>

namespace m3l::image {

/// The bytes of a picture are damaged; the message says how.
class ImageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Undoes the row filters in place. Each row comes as its filter's number and `stride` bytes; rows
/// then move up, so that no number is left between them. `step`, 1, 2, 3 or 6, is how far left the
/// byte of the same kind lies. Where `wide`, values of two bytes, high byte first, become the
/// machine's.
/// @throws ImageError where a filter is unknown
void unfilter(uint8_t* rows, size_t count, size_t stride, size_t step, bool wide);

}  // namespace m3l::image
