#include "sample.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <type_traits>
#include <vector>

namespace m3l::image {

namespace {

/// Red, green, blue, and a lane that is not used.
using Colour = float __attribute__((vector_size(16)));

/// Values of a stored pixel that becomes a `Pixel`: a colour, or one float.
template <class Pixel>
constexpr size_t kChannels = 3;
template <>
inline constexpr size_t kChannels<float> = 1;

template <class Pixel, class Value>
Pixel load(const Value* pixel) {
  if constexpr (kChannels<Pixel> == 1) {
    return static_cast<float>(*pixel);
  } else {
    return Pixel{static_cast<float>(pixel[0]), static_cast<float>(pixel[1]),
                 static_cast<float>(pixel[2]), 0};
  }
}

/// Source rows, normalised and stretched to the output's columns. The last two are kept: output
/// rows that follow one another are made of the same ones.
template <class Value, class Pixel>
class StretchedRows {
 public:
  StretchedRows(const Value* pixels, size_t columns, const Taps& across, Pixel scale, Pixel level)
      : pixels_(pixels), columns_(columns), across_(across), scale_(scale), level_(level) {
    for (auto& kept : kept_) {
      kept.pixels.resize(across.count);
    }
  }

  const Pixel* row(int32_t index) {
    if (kept_[1].index != index) {
      std::swap(kept_[0], kept_[1]);
      if (kept_[1].index != index) {
        stretch(index, kept_[1].pixels.data());
        kept_[1].index = index;
      }
    }
    return kept_[1].pixels.data();
  }

 private:
  struct Kept {
    int32_t index = -1;
    std::vector<Pixel> pixels;
  };

  void stretch(int32_t index, Pixel* into) const {
    constexpr size_t kStep = kChannels<Pixel>;
    const Value* line = pixels_ + kStep * columns_ * static_cast<size_t>(index);
    for (size_t x = 0; x < across_.count; ++x) {
      const auto low = load<Pixel>(line + kStep * static_cast<size_t>(across_.low[x]));
      const auto high = load<Pixel>(line + kStep * static_cast<size_t>(across_.high[x]));
      into[x] = (low + (high - low) * across_.weight[x]) * scale_ + level_;
    }
  }

  const Value* pixels_;
  size_t columns_;
  Taps across_;
  Pixel scale_;
  Pixel level_;
  std::array<Kept, 2> kept_;
};

/// A row of each plane from colours between `above` and `below`, four at a time.
void mix(const Colour* above, const Colour* below, float weight, size_t count, float* red,
         float* green, float* blue) {
  const auto between = [&](size_t x) { return above[x] + (below[x] - above[x]) * weight; };
  const auto put = [](float* to, Colour values) { std::memcpy(to, &values, sizeof values); };
  size_t x = 0;
  for (; x + 4 <= count; x += 4) {
    const Colour a = between(x);
    const Colour b = between(x + 1);
    const Colour c = between(x + 2);
    const Colour d = between(x + 3);
    const Colour ab = __builtin_shufflevector(a, b, 0, 4, 1, 5);
    const Colour cd = __builtin_shufflevector(c, d, 0, 4, 1, 5);
    put(red + x, __builtin_shufflevector(ab, cd, 0, 1, 4, 5));
    put(green + x, __builtin_shufflevector(ab, cd, 2, 3, 6, 7));
    const Colour blue_ab = __builtin_shufflevector(a, b, 2, 6, 2, 6);
    const Colour blue_cd = __builtin_shufflevector(c, d, 2, 6, 2, 6);
    put(blue + x, __builtin_shufflevector(blue_ab, blue_cd, 0, 1, 4, 5));
  }
  for (; x < count; ++x) {
    const Colour colour = between(x);
    red[x] = colour[0];
    green[x] = colour[1];
    blue[x] = colour[2];
  }
}

/// Fills the output around the `rows` x `columns` that the picture covers.
template <class Value>
void pad(Value* out, const Window& window, size_t columns, size_t rows, Value padding) {
  std::fill_n(out, window.top * window.width, padding);
  const size_t right = window.left + columns;
  for (size_t y = window.top; y < window.top + rows; ++y) {
    std::fill_n(out + y * window.width, window.left, padding);
    std::fill_n(out + y * window.width + right, window.width - right, padding);
  }
  const size_t bottom = window.top + rows;
  std::fill_n(out + bottom * window.width, (window.height - bottom) * window.width, padding);
}

/// `read` makes an output of each source value at the crossings of `across` and `down`.
template <class Value, class Output, class Read>
void sample_nearest(const Value* pixels, size_t columns, const Places& across, const Places& down,
                    const Window& window, Output* out, Read read) {
  for (size_t y = 0; y < down.count; ++y) {
    Output* to = out + (window.top + y) * window.width + window.left;
    if (y > 0 && down.index[y] == down.index[y - 1]) {
      std::copy_n(to - window.width, across.count, to);
      continue;
    }
    const Value* line = pixels + columns * static_cast<size_t>(down.index[y]);
    for (size_t x = 0; x < across.count; ++x) {
      to[x] = read(line[across.index[x]]);
    }
  }
}

}  // namespace

template <class Value>
void sample_colour(const Value* pixels, size_t columns, const Taps& across, const Taps& down,
                   const Window& window, const std::array<float, 3>& scale,
                   const std::array<float, 3>& level, float* out) {
  const size_t plane = window.width * window.height;
  for (size_t c = 0; c < 3; ++c) {
    pad(out + c * plane, window, across.count, down.count, level[c]);
  }
  StretchedRows<Value, Colour> lines(pixels, columns, across,
                                     Colour{scale[0], scale[1], scale[2], 0},
                                     Colour{level[0], level[1], level[2], 0});
  for (size_t y = 0; y < down.count; ++y) {
    const Colour* above = lines.row(down.low[y]);
    const Colour* below = down.weight[y] == 0 ? above : lines.row(down.high[y]);
    float* to = out + (window.top + y) * window.width + window.left;
    mix(above, below, down.weight[y], across.count, to, to + plane, to + 2 * plane);
  }
}

template <class Value>
void sample_grey(const Value* pixels, size_t columns, const Taps& across, const Taps& down,
                 const Window& window, float scale, float level, float* out) {
  pad(out, window, across.count, down.count, level);
  StretchedRows<Value, float> lines(pixels, columns, across, scale, level);
  for (size_t y = 0; y < down.count; ++y) {
    const float* above = lines.row(down.low[y]);
    const float weight = down.weight[y];
    const float* below = weight == 0 ? above : lines.row(down.high[y]);
    float* to = out + (window.top + y) * window.width + window.left;
    for (size_t x = 0; x < across.count; ++x) {
      to[x] = above[x] + (below[x] - above[x]) * weight;
    }
  }
}

template <class Value>
void sample_depth(const Value* pixels, size_t columns, const Places& across, const Places& down,
                  const Window& window, const Reading& reading, float* out) {
  const float nothing = (0 - reading.mean) / reading.deviation;
  pad(out, window, across.count, down.count, nothing);
  sample_nearest(pixels, columns, across, down, window, out, [&](Value value) {
    const auto raw = static_cast<float>(value);
    const float scaled =
        std::clamp((raw - reading.offset) / reading.divisor, reading.least, reading.greatest);
    const bool hole = std::is_floating_point_v<Value> ? std::isnan(raw) : raw == reading.hole;
    return hole ? nothing : (scaled - reading.mean) / reading.deviation;
  });
}

void sample_labels(const uint8_t* pixels, size_t columns, const Places& across, const Places& down,
                   const Window& window, uint8_t padding, uint8_t* out) {
  pad(out, window, across.count, down.count, padding);
  sample_nearest(pixels, columns, across, down, window, out, [](uint8_t value) { return value; });
}

template void sample_colour(const uint8_t*, size_t, const Taps&, const Taps&, const Window&,
                            const std::array<float, 3>&, const std::array<float, 3>&, float*);
template void sample_colour(const uint16_t*, size_t, const Taps&, const Taps&, const Window&,
                            const std::array<float, 3>&, const std::array<float, 3>&, float*);
template void sample_colour(const float*, size_t, const Taps&, const Taps&, const Window&,
                            const std::array<float, 3>&, const std::array<float, 3>&, float*);
template void sample_grey(const uint8_t*, size_t, const Taps&, const Taps&, const Window&, float,
                          float, float*);
template void sample_grey(const uint16_t*, size_t, const Taps&, const Taps&, const Window&, float,
                          float, float*);
template void sample_grey(const float*, size_t, const Taps&, const Taps&, const Window&, float,
                          float, float*);
template void sample_depth(const uint8_t*, size_t, const Places&, const Places&, const Window&,
                           const Reading&, float*);
template void sample_depth(const uint16_t*, size_t, const Places&, const Places&, const Window&,
                           const Reading&, float*);
template void sample_depth(const float*, size_t, const Places&, const Places&, const Window&,
                           const Reading&, float*);

}  // namespace m3l::image
