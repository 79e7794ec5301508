#include "unfilter.h"

#include <array>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace m3l::image {

namespace {

static_assert(std::endian::native == std::endian::little, "values of two bytes are swapped");

/// A pixel's bytes as numbers that can be subtracted.
using Pixel = int16_t __attribute__((vector_size(16)));
using Bytes = uint8_t __attribute__((vector_size(8)));

template <size_t step>
Pixel load(const uint8_t* from) {
  Bytes bytes{};
  std::memcpy(&bytes, from, step);
  return __builtin_convertvector(bytes, Pixel);
}

template <size_t step>
void store(uint8_t* to, Pixel pixel) {
  const Bytes bytes = __builtin_convertvector(pixel, Bytes);
  std::memcpy(to, &bytes, step);
}

Pixel absolute(Pixel x) { return x < 0 ? -x : x; }

template <size_t step>
void add_left(uint8_t* row, size_t stride) {
  std::array<uint8_t, step> left{};
  for (size_t i = 0; i < stride; i += step) {
    for (size_t k = 0; k < step; ++k) {
      left[k] = static_cast<uint8_t>(left[k] + row[i + k]);
      row[i + k] = left[k];
    }
  }
}

void add_above(uint8_t* __restrict row, const uint8_t* __restrict above, size_t stride) {
  for (size_t i = 0; i < stride; ++i) {
    row[i] = static_cast<uint8_t>(row[i] + above[i]);
  }
}

template <size_t step>
void add_mean(uint8_t* __restrict row, const uint8_t* __restrict above, size_t stride) {
  std::array<uint32_t, step> left{};
  for (size_t i = 0; i < stride; i += step) {
    for (size_t k = 0; k < step; ++k) {
      left[k] = (row[i + k] + (left[k] + above[i + k]) / 2) & 255U;
      row[i + k] = static_cast<uint8_t>(left[k]);
    }
  }
}

/// Adds the neighbour nearest to left + above - corner; of equally near ones the first named.
template <size_t step>
void add_nearest(uint8_t* __restrict row, const uint8_t* __restrict above, size_t stride) {
  Pixel left{};
  Pixel corner{};
  for (size_t i = 0; i < stride; i += step) {
    const Pixel up = load<step>(above + i);
    const Pixel rise = up - corner;
    const Pixel slope = left - corner;
    const Pixel by_left = absolute(rise);
    const Pixel by_up = absolute(slope);
    const Pixel by_corner = absolute(rise + slope);
    const Pixel other = by_up <= by_corner ? up : corner;
    const Pixel left_is_nearest = (by_left <= by_up) & (by_left <= by_corner);
    const Pixel guess = left_is_nearest ? left : other;
    left = (load<step>(row + i) + guess) & 255;
    store<step>(row + i, left);
    corner = up;
  }
}

/// The same of a label or a depth, where mostly nothing changes across or down: the guess is at
/// hand.
template <size_t step>
void add_nearest_of_few(uint8_t* __restrict row, const uint8_t* __restrict above, size_t stride) {
  for (size_t k = 0; k < step; ++k) {
    int left = 0;
    int corner = 0;
    for (size_t i = k; i < stride; i += step) {
      const int up = above[i];
      int guess = left;
      if (up != corner) {
        const int by_left = std::abs(up - corner);
        const int by_up = std::abs(left - corner);
        const int by_corner = std::abs(up - corner + left - corner);
        const int other = by_up <= by_corner ? up : corner;
        guess = by_left <= by_up && by_left <= by_corner ? left : other;
      }
      left = (row[i] + guess) & 255;
      row[i] = static_cast<uint8_t>(left);
      corner = up;
    }
  }
}

template <size_t step>
void undo(uint8_t filter, uint8_t* row, const uint8_t* above, size_t stride) {
  if (filter == 1) {
    add_left<step>(row, stride);
  } else if (filter == 2) {
    add_above(row, above, stride);
  } else if (filter == 3) {
    add_mean<step>(row, above, stride);
  } else if (filter == 4) {
    if constexpr (step < 3) {
      add_nearest_of_few<step>(row, above, stride);
    } else {
      add_nearest<step>(row, above, stride);
    }
  } else if (filter != 0) {
    throw ImageError("unknown row filter " + std::to_string(filter));
  }
}

using UndoRow = void(uint8_t filter, uint8_t* row, const uint8_t* above, size_t stride);

/// `undo` of pixels of `step` bytes: 1, 2, 3 or 6.
UndoRow* undo_of(size_t step) {
  switch (step) {
    case 1:
      return undo<1>;
    case 2:
      return undo<2>;
    case 3:
      return undo<3>;
    default:
      return undo<6>;
  }
}

void swap_bytes(uint8_t* row, size_t stride) {
  for (size_t i = 0; i + 1 < stride; i += 2) {
    uint16_t value = 0;
    std::memcpy(&value, row + i, sizeof value);
    value = static_cast<uint16_t>(value << 8U | value >> 8U);
    std::memcpy(row + i, &value, sizeof value);
  }
}

}  // namespace

void unfilter(uint8_t* rows, size_t count, size_t stride, size_t step, bool wide) {
  UndoRow* const undo_row = undo_of(step);
  // A row moves when the next one, which is made with it, is done.
  const auto settle = [&](size_t k) {
    std::memmove(rows + k * stride, rows + k * (stride + 1) + 1, stride);
    if (wide) {
      swap_bytes(rows + k * stride, stride);
    }
  };
  const std::vector<uint8_t> zeros(stride);
  const uint8_t* above = zeros.data();
  for (size_t k = 0; k < count; ++k) {
    uint8_t* row = rows + k * (stride + 1) + 1;
    undo_row(row[-1], row, above, stride);
    above = row;
    if (k > 0) {
      settle(k - 1);
    }
  }
  if (count > 0) {
    settle(count - 1);
  }
}

}  // namespace m3l::image
