// The pixels that a crop asks for: scaled, mirrored, normalised and padded in one pass.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace m3l::image {

/// The source pixels that the covered columns (or rows) of an output are made of.
struct Taps {
  size_t count;
  const int32_t* low;
  const int32_t* high;
  /// Of `high`.
  const float* weight;
};

/// The same of nearest neighbour.
struct Places {
  size_t count;
  const int32_t* index;
};

/// Where the picture lies in the output: its first row and column there, and the output's size.
struct Window {
  size_t left;
  size_t top;
  size_t width;
  size_t height;
};

/// Interleaved RGB to three planes: bilinear, then * scale + level; `level` where nothing is
/// covered.
template <class Value>
void sample_colour(const Value* pixels, size_t columns, const Taps& across, const Taps& down,
                   const Window& window, const std::array<float, 3>& scale,
                   const std::array<float, 3>& level, float* out);

/// One channel, the same way.
template <class Value>
void sample_grey(const Value* pixels, size_t columns, const Taps& across, const Taps& down,
                 const Window& window, float scale, float level, float* out);

/// What a stored value reads as: ((value - offset) / divisor, kept within `least` and `greatest`,
/// - mean) / std. `hole` (-1: none; of floats NaN) and what is not covered read as 0 does.
struct Reading {
  float offset;
  float divisor;
  float least;
  float greatest;
  float mean;
  float deviation;
  float hole;
};

/// One channel, nearest neighbour.
template <class Value>
void sample_depth(const Value* pixels, size_t columns, const Places& across, const Places& down,
                  const Window& window, const Reading& reading, float* out);

/// The same of labels, which stay as they are.
void sample_labels(const uint8_t* pixels, size_t columns, const Places& across, const Places& down,
                   const Window& window, uint8_t padding, uint8_t* out);

}  // namespace m3l::image
