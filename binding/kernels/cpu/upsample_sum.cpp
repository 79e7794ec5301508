#include "../upsample_sum.h"

#include <ATen/OpMathType.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "narrow.h"
#include "vector.h"

namespace m3l {
namespace {

/** Where an output position of an axis lies: (1 − weight) · in[low] + weight · in[high]. */
template <typename A>
struct Place {
  int64_t low;
  int64_t high;
  A weight;
};

/** Half-pixel centres, in libtorch's own rounding. */
template <typename A>
std::vector<Place<A>> Places(int64_t from, int64_t to) {
  const A scale = static_cast<A>(from) / static_cast<A>(to);
  std::vector<Place<A>> places;
  for (int64_t i = 0; i < to; ++i) {
    const A position = std::max(scale * (static_cast<A>(i) + A(0.5)) - A(0.5), A(0));
    const auto low = std::min(static_cast<int64_t>(position), from - 1);
    places.push_back(
        {low, std::min(low + 1, from - 1), std::clamp(position - static_cast<A>(low), A(0), A(1))});
  }
  return places;
}

template <typename T, typename A>
struct Map {
  const T* tokens;
  int64_t height;
  int64_t width;
  std::vector<Place<A>> rows;
  std::vector<Place<A>> columns;
};

/** Between two rows of a map, `count` elements. */
template <typename T, typename A>
M3L_VECTORISED void Between(const T* __restrict low, const T* __restrict high, A weight,
                            int64_t count, A* __restrict to) {
  for (int64_t i = 0; i < count; ++i) {
    to[i] = (A(1) - weight) * cpu::Widened<A>(low[i]) + weight * cpu::Widened<A>(high[i]);
  }
}

/** What is added to a token: of each map what lies between two columns. */
template <typename A>
struct Neighbours {
  std::vector<const A*> low;
  std::vector<const A*> high;
  std::vector<A> weight;
};

/** One token of `count` channels, of kMaps maps; of any number where that is -1. */
template <int kMaps, typename T, typename A>
M3L_VECTORISED void Token(const T* base, const Neighbours<A>& near, int64_t count, A least, T* to) {
  const auto maps = kMaps < 0 ? static_cast<int>(near.low.size()) : kMaps;
  const A* const* low = near.low.data();
  const A* const* high = near.high.data();
  const A* weight = near.weight.data();
#pragma GCC ivdep  // NOLINT(clang-diagnostic-unknown-pragmas)
  for (int64_t i = 0; i < count; ++i) {
    A sum = cpu::Widened<A>(base[i]);
    for (int m = 0; m < maps; ++m) {
      sum += (A(1) - weight[m]) * low[m][i] + weight[m] * high[m][i];
    }
    to[i] = cpu::Narrowed<T>(sum < least ? least : sum);  // NaN stays one
  }
}

at::Tensor UpsampleSumCpu(const at::Tensor& base, at::TensorList maps, at::IntArrayRef sizes,
                          int64_t height, int64_t width, bool relu) {
  CheckUpsampleSum(base, maps, sizes, height, width);
  const auto given = base.contiguous();
  auto result = at::empty_like(given);
  if (result.numel() == 0) {
    return result;  // no batch or no channels, on a grid that may be too large for its tables
  }
  std::vector<at::Tensor> held;
  for (const auto& map : maps) {
    held.push_back(map.contiguous());
  }
  const int64_t channels = given.size(2);
  const int64_t row_size = width * channels;
  AT_DISPATCH_FLOATING_TYPES_AND2(
      at::kBFloat16, at::kHalf, given.scalar_type(), "upsample_sum", [&] {
        using A = at::opmath_type<scalar_t>;
        std::vector<Map<scalar_t, A>> each;
        int64_t all_columns = 0;
        for (size_t i = 0; i < held.size(); ++i) {
          const auto rows = sizes[2 * i];
          const auto columns = sizes[2 * i + 1];
          each.push_back({held[i].const_data_ptr<scalar_t>(), rows, columns,
                          Places<A>(rows, height), Places<A>(columns, width)});
          all_columns += columns;
        }
        const auto* from = given.const_data_ptr<scalar_t>();
        auto* to = result.mutable_data_ptr<scalar_t>();
        const A least = relu ? A(0) : -std::numeric_limits<A>::infinity();
        const auto token = each.size() == 3 ? &Token<3, scalar_t, A> : &Token<-1, scalar_t, A>;
        const int64_t grain = std::max<int64_t>(1, kGrain / std::max<int64_t>(1, row_size));
        at::parallel_for(0, given.size(0) * height, grain, [&](int64_t begin, int64_t end) {
          std::vector<A> between(all_columns * channels);
          Neighbours<A> near{std::vector<const A*>(each.size()), std::vector<const A*>(each.size()),
                             std::vector<A>(each.size())};
          for (int64_t row = begin; row < end; ++row) {
            A* line = between.data();
            for (const auto& map : each) {
              const auto& [low, high, weight] = map.rows[row % height];
              const int64_t map_row = map.width * channels;
              const scalar_t* tokens = map.tokens + row / height * map.height * map_row;
              Between(tokens + low * map_row, tokens + high * map_row, weight, map_row, line);
              line += map_row;
            }
            for (int64_t column = 0; column < width; ++column) {
              line = between.data();
              for (size_t i = 0; i < each.size(); ++i) {
                const auto& [left, right, weight] = each[i].columns[column];
                near.low[i] = line + left * channels;
                near.high[i] = line + right * channels;
                near.weight[i] = weight;
                line += each[i].width * channels;
              }
              const int64_t at = row * row_size + column * channels;
              token(from + at, near, channels, least, to + at);
            }
          }
        });
      });
  return result;
}

M3L_KERNELS(CPU, library) { library.impl("upsample_sum", UpsampleSumCpu); }

}  // namespace
}  // namespace m3l
