#pragma once

#include <algorithm>
#include <cstdint>

#include "token_dwconv_gelu_activation.h"
#include "vector.h"

// The work is cut into tiles: one sample, a band of rows, a block of channels. A tile walks down
// its rows with the three it needs in a ring of scratch rows, copied once: there they are converted
// to the type of the arithmetic and have a column of zeros on either side (and rows of zeros above
// and below the grid), so that every output has nine taps at fixed offsets and no loop knows of
// borders.
namespace m3l::token_dwconv_gelu {

/** Channels of a tile: 3 + 3 rows of a 32-wide grid stay in the first cache or near it. */
constexpr std::int64_t kBlock = 64;
constexpr std::int64_t kTaps = 10;
/** How far ahead memory is asked for: a third of a microsecond's work. */
constexpr std::int64_t kAhead = 8;
/** Gradients of the taps are summed over this many columns in float32 before they go to double. */
constexpr std::int64_t kExactSum = 64;

struct Tile {
  std::int64_t height;
  std::int64_t width;
  /** C, the distance from column to column. */
  std::int64_t stride;
  /** Of kBlock channels, those that there are. */
  std::int64_t channels;
  std::int64_t top;
  std::int64_t bottom;

  [[nodiscard]] std::int64_t PaddedRow() const {
    return ((width + kStrip - 1) / kStrip * kStrip + 2) * kBlock;
  }
};

/** What a block of channels is convolved with; the channels that there are not have zeros. */
template <typename A>
struct TapBlock {
  /** Nine taps and the bias. */
  alignas(64) A taps[kTaps * kBlock] = {};
  /** The taps as seen from the input: in reverse, and without a bias. */
  alignas(64) A flipped[kTaps * kBlock] = {};

  /** From [10, C], of which `from` is the block's first channel. */
  TapBlock(const A* from, const Tile& tile) {
    for (std::int64_t k = 0; k < kTaps; ++k) {
      std::copy_n(from + k * tile.stride, tile.channels, taps + k * kBlock);
    }
    for (std::int64_t k = 0; k < kTaps - 1; ++k) {
      std::copy_n(taps + (kTaps - 2 - k) * kBlock, kBlock, flipped + k * kBlock);
    }
  }
};

/** Rows -1, 0, 1, … of a grid, of which the last three are held. */
template <typename A>
struct Ring {
  A* rows;
  std::int64_t row_size;

  [[nodiscard]] A* Row(std::int64_t row) const { return rows + (row + 3) % 3 * row_size; }
};

/** Row `row` of `grid`, or zeros where that lies outside, to scratch. */
template <typename T, typename A>
inline void LoadRow(const T* __restrict grid, std::int64_t row, const Tile& tile,
                    A* __restrict to) {
  if (row < 0 || row >= tile.height) {
    std::fill(to, to + tile.PaddedRow(), A(0));
    return;
  }
  const T* from = grid + row * tile.width * tile.stride;
  for (std::int64_t x = 0; x < tile.width; ++x) {
    for (std::int64_t c = 0; c < tile.channels; ++c) {
      // The sum keeps the compiler from a call of memcpy for every column: a tenth of the whole.
      to[(x + 1) * kBlock + c] = static_cast<A>(from[x * tile.stride + c]) + A(0);
    }
  }
}

/** Brings the block of channels of a strip of columns near that will be used kAhead columns after
 * this one: the processor by itself sees no stream in a few cache lines of every column. Columns
 * past a row are those of the next, rows past a sample those of the next; past the tokens nothing
 * comes of it, but since no pointer may point there, these are numbers. */
template <bool kWrite, typename T>
inline void Prefetch(const T* grid, std::int64_t row, std::int64_t column, const Tile& tile) {
  constexpr std::uintptr_t kLine = 64;
  const auto step = static_cast<std::uintptr_t>(tile.stride) * sizeof(T);
  auto at = reinterpret_cast<std::uintptr_t>(grid) +
            static_cast<std::uintptr_t>(row * tile.width + column + kAhead) * step;
  for (std::int64_t i = 0; i < kStrip; ++i, at += step) {
    for (std::uintptr_t line = 0; line < kBlock * sizeof(T); line += kLine) {
      // To the second cache: until they are used, the first has better to hold.
      // NOLINTNEXTLINE(performance-no-int-to-ptr): see above
      __builtin_prefetch(reinterpret_cast<const void*>(at + line), kWrite ? 1 : 0, 2);
    }
  }
}

/** What is done to the convolution's strip of outputs at channel c: nothing, or GELU, */
struct Unchanged {
  template <typename A>
  void operator()(A (& /*v*/)[kStrip], std::int64_t /*c*/) const {}
};
struct Activated {
  template <typename A>
  void operator()(A (&v)[kStrip], std::int64_t /*c*/) const {
    GeluStrip(v);
  }
};
/** or its slope, times the gradient of the result. */
template <typename T>
struct Differentiated {
  const T* gradient;
  std::int64_t stride;

  template <typename A>
  void operator()(A (&v)[kStrip], std::int64_t c) const {
    GeluSlopeStrip(v);
    Each([&](int i) { v[i] *= static_cast<A>(gradient[i * stride + c]); });
  }
};

/** Nine taps and the bias at kStrip columns, `stride` apart in `to`; `x0`, `x1`, `x2` point one
 * column to the left of them. */
template <typename F, typename T, typename A>
inline void Convolve(const A* x0, const A* x1, const A* x2, const A* taps, const F& finish, T* to,
                     std::int64_t stride) {
  // What is written overlaps nothing that is read, which the compiler cannot see of one scratch.
#pragma GCC ivdep  // NOLINT(clang-diagnostic-unknown-pragmas)
  for (std::int64_t c = 0; c < kBlock; ++c) {
    A v[kStrip];
    Each([&](int i) { v[i] = taps[9 * kBlock + c]; });
    Each([&](int i) { v[i] += taps[0 * kBlock + c] * x0[(i + 0) * kBlock + c]; });
    Each([&](int i) { v[i] += taps[1 * kBlock + c] * x0[(i + 1) * kBlock + c]; });
    Each([&](int i) { v[i] += taps[2 * kBlock + c] * x0[(i + 2) * kBlock + c]; });
    Each([&](int i) { v[i] += taps[3 * kBlock + c] * x1[(i + 0) * kBlock + c]; });
    Each([&](int i) { v[i] += taps[4 * kBlock + c] * x1[(i + 1) * kBlock + c]; });
    Each([&](int i) { v[i] += taps[5 * kBlock + c] * x1[(i + 2) * kBlock + c]; });
    Each([&](int i) { v[i] += taps[6 * kBlock + c] * x2[(i + 0) * kBlock + c]; });
    Each([&](int i) { v[i] += taps[7 * kBlock + c] * x2[(i + 1) * kBlock + c]; });
    Each([&](int i) { v[i] += taps[8 * kBlock + c] * x2[(i + 2) * kBlock + c]; });
    finish(v, c);
    Each([&](int i) { to[i * stride + c] = static_cast<T>(v[i]); });
  }
}

/** The same to tokens: of the strip `columns` columns, of the block the channels that there are. */
template <typename F, typename T, typename A>
inline void ConvolveTokens(const A* x0, const A* x1, const A* x2, const A* taps, const F& finish,
                           std::int64_t columns, const Tile& tile, T* to) {
  if (columns == kStrip && tile.channels == kBlock) {
    Convolve(x0, x1, x2, taps, finish, to, tile.stride);
    return;
  }
  alignas(64) T values[kStrip * kBlock];
  Convolve(x0, x1, x2, taps, finish, values, kBlock);
  for (std::int64_t i = 0; i < columns; ++i) {
    std::copy_n(values + i * kBlock, tile.channels, to + i * tile.stride);
  }
}

/** Adds to `sums` the gradients of the taps from those of kStrip outputs. */
template <typename A>
inline void AddTapGradients(const A* __restrict x0, const A* __restrict x1, const A* __restrict x2,
                            const A* __restrict grad, A* __restrict sums) {
  for (std::int64_t c = 0; c < kBlock; ++c) {
    A sum[kTaps];
    for (std::int64_t k = 0; k < kTaps; ++k) {
      sum[k] = sums[k * kBlock + c];
    }
    for (std::int64_t i = 0; i < kStrip; ++i) {
      const std::int64_t at = i * kBlock + c;
      const A g = grad[at];
      sum[0] += g * x0[at];
      sum[1] += g * x0[at + kBlock];
      sum[2] += g * x0[at + 2 * kBlock];
      sum[3] += g * x1[at];
      sum[4] += g * x1[at + kBlock];
      sum[5] += g * x1[at + 2 * kBlock];
      sum[6] += g * x2[at];
      sum[7] += g * x2[at + kBlock];
      sum[8] += g * x2[at + 2 * kBlock];
      sum[9] += g;
    }
    for (std::int64_t k = 0; k < kTaps; ++k) {
      sums[k * kBlock + c] = sum[k];
    }
  }
}

template <typename T, typename A>
M3L_VECTORISED static void ForwardTile(const T* __restrict x, const TapBlock<A>& block,
                                       T* __restrict y, A* __restrict scratch, const Tile tile) {
  const Ring<A> rows{scratch, tile.PaddedRow()};
  LoadRow(x, tile.top - 1, tile, rows.Row(tile.top - 1));
  LoadRow(x, tile.top, tile, rows.Row(tile.top));
  for (std::int64_t row = tile.top; row < tile.bottom; ++row) {
    LoadRow(x, row + 1, tile, rows.Row(row + 1));
    for (std::int64_t column = 0; column < tile.width; column += kStrip) {
      const std::int64_t at = column * kBlock;
      const std::int64_t columns = std::min(kStrip, tile.width - column);
      const std::int64_t here = (row * tile.width + column) * tile.stride;
      Prefetch<true>(y, row, column, tile);
      Prefetch<false>(x, row + 2, column, tile);
      ConvolveTokens(rows.Row(row - 1) + at, rows.Row(row) + at, rows.Row(row + 1) + at, block.taps,
                     Activated{}, columns, tile, y + here);
    }
  }
}

template <typename T>
struct BackwardPointers {
  const T* grad;
  const T* x;
  T* grad_x;
};

/** One row of the gradient before the activation, to `to`; the columns past the width become 0. */
template <typename T, typename A>
inline void ActivationGradientRow(const T* __restrict grad, const A* x0, const A* x1, const A* x2,
                                  const A* taps, const Tile& tile, A* __restrict to,
                                  A* __restrict sums) {
  for (std::int64_t column = 0; column < tile.width; column += kStrip) {
    const std::int64_t at = column * kBlock;
    const std::int64_t columns = std::min(kStrip, tile.width - column);
    Prefetch<false>(grad, 0, column, tile);
    A* strip = to + at + kBlock;
    const T* from = grad + column * tile.stride;
    if (columns == kStrip && tile.channels == kBlock) {
      Convolve(x0 + at, x1 + at, x2 + at, taps, Differentiated<T>{from, tile.stride}, strip,
               kBlock);
    } else {
      alignas(64) T values[kStrip * kBlock] = {};
      for (std::int64_t i = 0; i < columns; ++i) {
        std::copy_n(from + i * tile.stride, tile.channels, values + i * kBlock);
      }
      Convolve(x0 + at, x1 + at, x2 + at, taps, Differentiated<T>{values, kBlock}, strip, kBlock);
    }
    if (sums != nullptr) {
      AddTapGradients(x0 + at, x1 + at, x2 + at, strip, sums);
    }
  }
}

/** The gradients of the taps are added to `total` [kTaps, kBlock]. */
template <typename T, typename A>
M3L_VECTORISED static void BackwardTile(const BackwardPointers<T> at, const TapBlock<A>& block,
                                        double* __restrict total, A* __restrict scratch,
                                        const Tile tile) {
  const Ring<A> x{scratch, tile.PaddedRow()};
  const Ring<A> g{scratch + 3 * tile.PaddedRow(), tile.PaddedRow()};
  alignas(64) A sums[kTaps * kBlock] = {};
  std::int64_t pending = 0;
  LoadRow(at.x, tile.top - 2, tile, x.Row(tile.top - 2));
  LoadRow(at.x, tile.top - 1, tile, x.Row(tile.top - 1));
  for (std::int64_t row = tile.top - 1; row <= tile.bottom; ++row) {
    LoadRow(at.x, row + 1, tile, x.Row(row + 1));
    const bool own = row >= tile.top && row < tile.bottom;
    if (row < 0 || row >= tile.height) {
      std::fill(g.Row(row), g.Row(row) + tile.PaddedRow(), A(0));
    } else {
      ActivationGradientRow(at.grad + row * tile.width * tile.stride, x.Row(row - 1), x.Row(row),
                            x.Row(row + 1), block.taps, tile, g.Row(row), own ? sums : nullptr);
    }
    pending += own ? tile.width : 0;
    if (pending >= kExactSum || row == tile.bottom) {
      for (std::int64_t i = 0; i < kTaps * kBlock; ++i) {
        total[i] += static_cast<double>(sums[i]);
        sums[i] = 0;
      }
      pending = 0;
    }
    for (std::int64_t column = 0; row > tile.top && column < tile.width; column += kStrip) {
      const std::int64_t offset = column * kBlock;
      const std::int64_t columns = std::min(kStrip, tile.width - column);
      const std::int64_t here = ((row - 1) * tile.width + column) * tile.stride;
      Prefetch<true>(at.grad_x, row - 1, column, tile);
      Prefetch<false>(at.x, row + 2, column, tile);
      ConvolveTokens(g.Row(row - 2) + offset, g.Row(row - 1) + offset, g.Row(row) + offset,
                     block.flipped, Unchanged{}, columns, tile, at.grad_x + here);
    }
  }
}

}  // namespace m3l::token_dwconv_gelu
