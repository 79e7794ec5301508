// Bilinear interpolation with align_corners = true, tile by tile of output columns.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

namespace m3l {

/** Output positions of one axis: out[i] = (1 − weight[i])·in[index[i]] + weight[i]·in[next[i]]. */
template <typename T>
struct BilinearAxis {
  std::vector<std::int32_t> index;
  std::vector<std::int32_t> next;
  std::vector<T> weight;

  /** Filled up to a multiple of `tile` with copies of the last position; torch's own rounding. */
  BilinearAxis(std::int64_t from, std::int64_t to, std::int64_t tile = 1) {
    const T scale = to > 1 ? static_cast<T>(from - 1) / static_cast<T>(to - 1) : T(0);
    const std::int64_t padded = (to + tile - 1) / tile * tile;
    for (std::int64_t i = 0; i < padded; ++i) {
      const T position = scale * static_cast<T>(std::min(i, to - 1));
      const auto low = std::min(static_cast<std::int64_t>(position), from - 1);
      index.push_back(static_cast<std::int32_t>(low));
      next.push_back(static_cast<std::int32_t>(std::min(low + 1, from - 1)));
      weight.push_back(std::clamp(position - static_cast<T>(low), T(0), T(1)));
    }
  }
};

/**
 * The columns, cut into tiles of kTile. A tile that lies between few input columns is interpolated
 * as a product with a small matrix, which needs no gathering: that is, wherever one upsamples.
 */
template <typename T, int kTile>
class BilinearColumns {
 public:
  BilinearColumns(std::int64_t from, std::int64_t to) : axis_(from, to, kTile) {
    const auto tiles = static_cast<std::int64_t>(axis_.index.size()) / kTile;
    for (std::int64_t tile = 0; tile < tiles; ++tile) {
      const std::int32_t first = axis_.index[tile * kTile];
      const std::int32_t cells = axis_.next[(tile + 1) * kTile - 1] - first + 1;
      cells_.push_back(cells <= kCells ? cells : 0);
      matrices_.resize(matrices_.size() + 2 * kMatrix);
      if (cells > kCells) {
        continue;
      }
      T* across = matrices_.data() + tile * 2 * kMatrix;
      T* down = across + kMatrix;
      for (int x = 0; x < kTile; ++x) {
        const std::int64_t column = tile * kTile + x;
        const T weight = axis_.weight[column];
        for (const auto& [cell, part] : {std::pair{axis_.index[column] - first, T(1) - weight},
                                         std::pair{axis_.next[column] - first, weight}}) {
          across[cell * kTile + x] += part;
          down[x * kCells + cell] += part;
        }
      }
    }
  }

  /** Output columns, up to a multiple of kTile. */
  [[nodiscard]] std::int64_t Pitch() const { return static_cast<std::int64_t>(axis_.index.size()); }

  /** One input row of `classes` planes, to the tile of columns from `left`: [classes][kTile]. */
  void Upsample(std::int64_t left, const T* __restrict row, std::int64_t plane,
                std::int64_t classes, T* __restrict out) const {
    const std::int32_t* __restrict index = axis_.index.data() + left;
    const std::int32_t* __restrict next = axis_.next.data() + left;
    const T* __restrict weight = axis_.weight.data() + left;
    const std::int32_t cells = cells_[left / kTile];
    const T* __restrict matrix = matrices_.data() + left / kTile * 2 * kMatrix;
    for (std::int64_t k = 0; k < classes; ++k, row += plane, out += kTile) {
      const T* __restrict low = row + index[0];
      T not_finite = 0;
      for (std::int32_t cell = 0; cell < cells; ++cell) {
        not_finite += low[cell] * T(0);
      }
      if (cells == 0 || not_finite != 0) {
        // What is not finite must not spread to the columns whose weight of it is 0.
        for (int x = 0; x < kTile; ++x) {
          out[x] = (T(1) - weight[x]) * row[index[x]] + weight[x] * row[next[x]];
        }
        continue;
      }
      T sum[kTile] = {};
      for (std::int32_t cell = 0; cell < cells; ++cell) {
        const T value = low[cell];
        for (int x = 0; x < kTile; ++x) {
          sum[x] += value * matrix[cell * kTile + x];
        }
      }
      for (int x = 0; x < kTile; ++x) {
        out[x] = sum[x];
      }
    }
  }

  /** The transpose: adds a tile of columns from `left`, [classes][kTile], to the input row. */
  void UpsampleTransposed(std::int64_t left, const T* __restrict tile, std::int64_t plane,
                          std::int64_t classes, T* __restrict row) const {
    const std::int32_t* __restrict index = axis_.index.data() + left;
    const std::int32_t* __restrict next = axis_.next.data() + left;
    const T* __restrict weight = axis_.weight.data() + left;
    const std::int32_t cells = cells_[left / kTile];
    const T* __restrict matrix = matrices_.data() + left / kTile * 2 * kMatrix + kMatrix;
    for (std::int64_t k = 0; k < classes; ++k, row += plane, tile += kTile) {
      if (cells == 0) {
        for (int x = 0; x < kTile; ++x) {
          const T part = weight[x] * tile[x];
          row[next[x]] += part;
          row[index[x]] += tile[x] - part;
        }
        continue;
      }
      // Left to itself the compiler vectorises the other of the two loops, which takes thrice as
      // long.
      using Cells __attribute__((vector_size(kCells * sizeof(T)), aligned(alignof(T)), may_alias)) =
          T;
      const auto* weights = reinterpret_cast<const Cells*>(matrix);
      Cells even = {};
      Cells odd = {};
      for (int x = 0; x < kTile; x += 2) {
        even += tile[x] * weights[x];
        odd += tile[x + 1] * weights[x + 1];
      }
      const Cells sum = even + odd;
      T* __restrict low = row + index[0];
      for (std::int32_t cell = 0; cell < cells; ++cell) {
        low[cell] += sum[cell];
      }
    }
  }

 private:
  static constexpr int kCells = kTile / 2;
  static constexpr std::int64_t kMatrix = std::int64_t{kCells} * kTile;

  BilinearAxis<T> axis_;
  /** Input columns that a tile lies between; 0: too many. */
  std::vector<std::int32_t> cells_;
  /** Of each tile the weights by [cell][column], then by [column][cell]. */
  std::vector<T> matrices_;
};

}  // namespace m3l
