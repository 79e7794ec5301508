// A block of queries at a time: its scores to all keys, their softmax, and the weighted sum of the
// values stay in the nearer caches. Keys (transposed) and values are packed once into panels of 32
// columns; a tile of 8 × 32 sums stays in registers over a whole row.
#include "attention.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "vector.h"

#if defined(__x86_64__)
#if defined(__GNUC__) && !defined(__clang__)
// What these headers leave undefined on purpose (GCC bug 105593).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>
#endif

namespace m3l::cpu {

#if defined(__x86_64__)

namespace {

constexpr int64_t kTall = 8;
constexpr int64_t kWide = 32;
/** Queries of a block: a panel of keys is read from the nearest cache by all but the first tile. */
constexpr int64_t kBlock = 32;
constexpr int64_t kLanes = 16;

#define M3L_WIDE __attribute__((target("arch=x86-64-v4"), flatten))

int64_t RoundedUp(int64_t count, int64_t multiple) {
  return (count + multiple - 1) / multiple * multiple;
}

int64_t KeyPanels(const AttentionSizes& of) { return RoundedUp(of.keys, kWide) * of.channels; }

int64_t ValuePanels(const AttentionSizes& of) { return of.keys * RoundedUp(of.channels, kWide); }

/** Keys as panels [keys / 32][channels][32], zeros beyond the last. */
void PackKeys(const float* keys, int64_t stride, const AttentionSizes& of, float* panels) {
  for (int64_t first = 0; first < of.keys; first += kWide, panels += of.channels * kWide) {
    for (int64_t j = 0; j < kWide; ++j) {
      for (int64_t c = 0; c < of.channels; ++c) {
        panels[c * kWide + j] = first + j < of.keys ? keys[(first + j) * stride + c] : 0.0F;
      }
    }
  }
}

/** Values as panels [channels / 32][keys][32], zeros beyond the last. */
void PackValues(const float* values, int64_t stride, const AttentionSizes& of, float* panels) {
  for (int64_t first = 0; first < of.channels; first += kWide) {
    const int64_t filled = std::min(kWide, of.channels - first);
    for (int64_t n = 0; n < of.keys; ++n, panels += kWide) {
      std::copy_n(values + n * stride + first, filled, panels);
      std::fill(panels + filled, panels + kWide, 0.0F);
    }
  }
}

using Rows = std::array<const float*, kTall>;

/** sums[r, 16 · vectors] = Σ_n rows[r][n] · panel[n, 16 · vectors]. */
template <int64_t vectors>
M3L_WIDE void Tile(const Rows& rows, const float* panel, int64_t depth, float* sums,
                   int64_t stride) {
  __m512 tile[kTall][vectors];
#pragma GCC unroll 8
  for (int64_t r = 0; r < kTall; ++r) {
#pragma GCC unroll 2
    for (int64_t v = 0; v < vectors; ++v) {
      tile[r][v] = _mm512_setzero_ps();
    }
  }
  for (int64_t n = 0; n < depth; ++n, panel += kWide) {
    __m512 columns[vectors];
#pragma GCC unroll 2
    for (int64_t v = 0; v < vectors; ++v) {
      columns[v] = _mm512_loadu_ps(panel + v * kLanes);
    }
#pragma GCC unroll 8
    for (int64_t r = 0; r < kTall; ++r) {
      const __m512 factor = _mm512_set1_ps(rows[static_cast<size_t>(r)][n]);
#pragma GCC unroll 2
      for (int64_t v = 0; v < vectors; ++v) {
        tile[r][v] = _mm512_fmadd_ps(factor, columns[v], tile[r][v]);
      }
    }
  }
#pragma GCC unroll 8
  for (int64_t r = 0; r < kTall; ++r) {
#pragma GCC unroll 2
    for (int64_t v = 0; v < vectors; ++v) {
      _mm512_storeu_ps(sums + r * stride + v * kLanes, tile[r][v]);
    }
  }
}

/** A tile of which `filled` of the 32 columns are wanted. */
M3L_WIDE void Tile(const Rows& rows, const float* panel, int64_t depth, int64_t filled, float* sums,
                   int64_t stride) {
  if (filled > kLanes) {
    Tile<2>(rows, panel, depth, sums, stride);
  } else {
    Tile<1>(rows, panel, depth, sums, stride);
  }
}

/** Scores to exp(scale · score + bias − greatest); gives their sum and the greatest. */
M3L_WIDE std::pair<float, float> Exponentials(float* scores, int64_t keys, const float* bias,
                                              float scale) {
  const int64_t padded = RoundedUp(keys, kLanes);
  std::fill(scores + keys, scores + padded, -std::numeric_limits<float>::infinity());
  const __m512 factor = _mm512_set1_ps(scale);
  __m512 most = _mm512_set1_ps(-std::numeric_limits<float>::infinity());
  for (int64_t n = 0; n < padded; n += kLanes) {
    __m512 score = _mm512_mul_ps(factor, _mm512_loadu_ps(scores + n));
    if (bias != nullptr) {
      const int64_t left = std::clamp<int64_t>(keys - n, 0, kLanes);
      const auto mask = static_cast<__mmask16>((1U << left) - 1U);
      score = _mm512_add_ps(score, _mm512_maskz_loadu_ps(mask, bias + n));
    }
    _mm512_storeu_ps(scores + n, score);
    most = _mm512_max_ps(most, score);
  }
  const float greatest = _mm512_reduce_max_ps(most);
  for (int64_t n = 0; n < padded; ++n) {
    scores[n] = ExpOfNegative(scores[n] - greatest);
  }
  __m512 sums = _mm512_setzero_ps();
  for (int64_t n = 0; n < padded; n += kLanes) {
    sums = _mm512_add_ps(sums, _mm512_loadu_ps(scores + n));
  }
  return {_mm512_reduce_add_ps(sums), greatest};
}

/** What is the same for all queries of one head. */
struct Head {
  const float* keys;
  const float* values;
  const float* bias;
  float scale;
};

/** Up to 32 queries of one head; `scores` [32, keys rounded up to 32]. */
M3L_WIDE void Block(const AttentionSizes& of, const Head& head, const float* query,
                    int64_t query_stride, int64_t count, float* scores, float* out,
                    int64_t out_stride, float* log_sums) {
  const int64_t padded = RoundedUp(of.keys, kWide);
  // Rows beyond the last are the last one again.
  const auto rows_at = [&](const float* base, int64_t stride, int64_t first) {
    Rows rows;
    for (int64_t r = 0; r < kTall; ++r) {
      rows[static_cast<size_t>(r)] = base + std::min(first + r, count - 1) * stride;
    }
    return rows;
  };
  for (int64_t n = 0; n < padded; n += kWide) {
    for (int64_t first = 0; first < count; first += kTall) {
      Tile(rows_at(query, query_stride, first), head.keys + n * of.channels, of.channels,
           of.keys - n, scores + first * padded + n, padded);
    }
  }
  std::array<float, kBlock> factors;
  for (int64_t r = 0; r < count; ++r) {
    const auto [sum, greatest] = Exponentials(scores + r * padded, of.keys, head.bias, head.scale);
    factors[static_cast<size_t>(r)] = 1.0F / sum;
    if (log_sums != nullptr) {
      log_sums[r] = greatest + std::log(sum);
    }
  }
  alignas(64) float sums[kTall * kWide];
  for (int64_t c = 0; c < of.channels; c += kWide) {
    const int64_t filled = std::min(kWide, of.channels - c);
    for (int64_t first = 0; first < count; first += kTall) {
      Tile(rows_at(scores, padded, first), head.values + c * of.keys, of.keys, filled, sums, kWide);
      for (int64_t r = 0; r < std::min(kTall, count - first); ++r) {
        const float factor = factors[static_cast<size_t>(first + r)];
        float* to = out + (first + r) * out_stride + c;
        for (int64_t j = 0; j < filled; ++j) {
          to[j] = factor * sums[r * kWide + j];
        }
      }
    }
  }
}

}  // namespace

bool CanAttend() {
  __builtin_cpu_init();
  // MKL takes its wide path on Intel's processors.
  return __builtin_cpu_is("intel") == 0 && __builtin_cpu_supports("x86-64-v4") != 0;
}

std::int64_t AttentionPanels(const AttentionSizes& sizes) {
  return sizes.batch * sizes.heads * (KeyPanels(sizes) + ValuePanels(sizes));
}

void Attend(const AttentionSizes& sizes, const float* query, const HeadTokens& query_strides,
            const float* key, const HeadTokens& key_strides, const float* value,
            const HeadTokens& value_strides, const float* bias, float scale, float* panels,
            float* out, const HeadTokens& out_strides, float* log_sums) {
  const int64_t pairs = sizes.batch * sizes.heads;
  const int64_t key_panels = KeyPanels(sizes);
  const int64_t panels_of_head = key_panels + ValuePanels(sizes);
  const auto at = [&](const HeadTokens& strides, int64_t pair) {
    return pair / sizes.heads * strides.batch + pair % sizes.heads * strides.head;
  };
  at::parallel_for(
      0, pairs, std::max<int64_t>(1, kGrain / panels_of_head), [&](int64_t begin, int64_t end) {
        for (int64_t pair = begin; pair < end; ++pair) {
          float* to = panels + pair * panels_of_head;
          PackKeys(key + at(key_strides, pair), key_strides.token, sizes, to);
          PackValues(value + at(value_strides, pair), value_strides.token, sizes, to + key_panels);
        }
      });
  const int64_t blocks = (sizes.queries + kBlock - 1) / kBlock;
  const int64_t work = kBlock * sizes.keys * sizes.channels;
  constexpr int64_t kWorth = int64_t{1} << 19;
  at::parallel_for(
      0, pairs * blocks, std::max<int64_t>(1, kWorth / work), [&](int64_t begin, int64_t end) {
        std::vector<float> scores(static_cast<size_t>(kBlock * RoundedUp(sizes.keys, kWide)));
        for (int64_t index = begin; index < end; ++index) {
          const int64_t pair = index / blocks;
          const int64_t first = index % blocks * kBlock;
          const float* packed = panels + pair * panels_of_head;
          const Head head{packed, packed + key_panels,
                          bias == nullptr ? nullptr : bias + pair * sizes.keys, scale};
          Block(sizes, head, query + at(query_strides, pair) + first * query_strides.token,
                query_strides.token, std::min(kBlock, sizes.queries - first), scores.data(),
                out + at(out_strides, pair) + first * out_strides.token, out_strides.token,
                log_sums == nullptr ? nullptr : log_sums + pair * sizes.queries + first);
        }
      });
}

#else

bool CanAttend() { return false; }

std::int64_t AttentionPanels(const AttentionSizes& /*sizes*/) { return 0; }

void Attend(const AttentionSizes& /*sizes*/, const float* /*query*/,
            const HeadTokens& /*query_strides*/, const float* /*key*/,
            const HeadTokens& /*key_strides*/, const float* /*value*/,
            const HeadTokens& /*value_strides*/, const float* /*bias*/, float /*scale*/,
            float* /*panels*/, float* /*out*/, const HeadTokens& /*out_strides*/,
            float* /*log_sums*/) {}

#endif

}  // namespace m3l::cpu
