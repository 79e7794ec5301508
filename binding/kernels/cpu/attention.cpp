// A block of queries at a time: its scores to all keys, their softmax, and the weighted sum of the
// values stay in the nearer caches. Keys (transposed) and values are packed once into panels of 32
// columns; a tile of 8 × 32 sums stays in registers over a whole row.
#include "attention.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>
#include <vector>

#include "narrow.h"
#include "processor.h"
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

// Float code has no instruction of avx512bf16 in it: those come by their intrinsics alone.
#define M3L_WIDE __attribute__((target("arch=x86-64-v4,avx512bf16"), flatten))

int64_t RoundedUp(int64_t count, int64_t multiple) {
  return (count + multiple - 1) / multiple * multiple;
}

/** What one lane multiplies at once: one float, or two bfloat16 side by side. */
template <typename T>
using Unit = std::conditional_t<std::is_same_v<T, float>, float, uint32_t>;

template <typename T>
constexpr int64_t kPerUnit = std::is_same_v<T, float> ? 1 : 2;

template <typename T>
int64_t Units(int64_t elements) {
  return (elements + kPerUnit<T> - 1) / kPerUnit<T>;
}

/** In units. */
template <typename T>
int64_t KeyPanels(const AttentionSizes& of) {
  return RoundedUp(of.keys, kWide) * Units<T>(of.channels);
}

template <typename T>
int64_t ValuePanels(const AttentionSizes& of) {
  return Units<T>(of.keys) * RoundedUp(of.channels, kWide);
}

/** Keys as panels [keys / 32][channels in units][32], zeros beyond the last. */
template <typename T>
// NOLINTNEXTLINE(readability-non-const-parameter): written as units
void PackKeys(const T* keys, int64_t stride, const AttentionSizes& of, Unit<T>* panels) {
  const int64_t units = Units<T>(of.channels);
  for (int64_t first = 0; first < of.keys; first += kWide, panels += units * kWide) {
    for (int64_t j = 0; j < kWide; ++j) {
      for (int64_t u = 0; u < units; ++u) {
        Unit<T> unit{};
        if (first + j < of.keys) {
          std::memcpy(&unit, keys + (first + j) * stride + u * kPerUnit<T>, sizeof(unit));
        }
        panels[u * kWide + j] = unit;
      }
    }
  }
}

/** Values as panels [channels / 32][keys in units][32], zeros beyond the last. */
template <typename T>
// NOLINTNEXTLINE(readability-non-const-parameter): written as units
void PackValues(const T* values, int64_t stride, const AttentionSizes& of, Unit<T>* panels) {
  for (int64_t first = 0; first < of.channels; first += kWide) {
    const int64_t filled = std::min(kWide, of.channels - first);
    for (int64_t n = 0; n < of.keys; n += kPerUnit<T>, panels += kWide) {
      const T* upper = values + n * stride + first;
      if constexpr (kPerUnit<T> == 1) {
        std::copy_n(upper, filled, panels);
      } else {
        const bool last = n + 1 == of.keys;
        const T* lower = last ? upper : upper + stride;
        for (int64_t j = 0; j < filled; ++j) {
          panels[j] = upper[j].x | (last ? 0U : static_cast<uint32_t>(lower[j].x) << 16U);
        }
      }
      std::fill(panels + filled, panels + kWide, Unit<T>{});
    }
  }
}

template <typename T>
using Rows = std::array<const T*, kTall>;

/** sums[r, 16 · vectors] = Σ_n rows[r][n] · panel[n, 16 · vectors], n in units. */
template <typename T, int64_t vectors>
M3L_WIDE void Tile(const Rows<T>& rows, const Unit<T>* panel, int64_t units, float* sums,
                   int64_t stride) {
  // NOLINTBEGIN(modernize-loop-convert): loops over registers, unrolled by their bounds
  __m512 tile[kTall][vectors];
#pragma GCC unroll 8
  for (int64_t r = 0; r < kTall; ++r) {
#pragma GCC unroll 2
    for (int64_t v = 0; v < vectors; ++v) {
      tile[r][v] = _mm512_setzero_ps();
    }
  }
  // NOLINTEND(modernize-loop-convert)
  for (int64_t n = 0; n < units; ++n, panel += kWide) {
    __m512 columns[vectors];
#pragma GCC unroll 2
    for (int64_t v = 0; v < vectors; ++v) {
      columns[v] = _mm512_loadu_ps(panel + v * kLanes);
    }
#pragma GCC unroll 8
    for (int64_t r = 0; r < kTall; ++r) {
      float unit;
      std::memcpy(&unit, rows[static_cast<size_t>(r)] + n * kPerUnit<T>, sizeof(unit));
      const __m512 factor = _mm512_set1_ps(unit);
#pragma GCC unroll 2
      for (int64_t v = 0; v < vectors; ++v) {
        if constexpr (kPerUnit<T> == 1) {
          tile[r][v] = _mm512_fmadd_ps(factor, columns[v], tile[r][v]);
        } else {
          tile[r][v] = _mm512_dpbf16_ps(tile[r][v], reinterpret_cast<__m512bh>(factor),
                                        reinterpret_cast<__m512bh>(columns[v]));
        }
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
template <typename T>
M3L_WIDE void Tile(const Rows<T>& rows, const Unit<T>* panel, int64_t units, int64_t filled,
                   float* sums, int64_t stride) {
  if (filled > kLanes) {
    Tile<T, 2>(rows, panel, units, sums, stride);
  } else {
    Tile<T, 1>(rows, panel, units, sums, stride);
  }
}

/** Scores to exp(scale · score + bias − greatest); gives their sum and the greatest. */
template <typename T>
M3L_WIDE std::pair<float, float> Exponentials(float* scores, int64_t keys, const T* bias,
                                              float scale) {
  const int64_t padded = RoundedUp(keys, kLanes);
  std::fill(scores + keys, scores + padded, -std::numeric_limits<float>::infinity());
  if (bias != nullptr) {
    for (int64_t n = 0; n < keys; ++n) {
      scores[n] = scale * scores[n] + Widened<float>(bias[n]);
    }
    scale = 1.0F;
  }
  const __m512 factor = _mm512_set1_ps(scale);
  __m512 most = _mm512_set1_ps(-std::numeric_limits<float>::infinity());
  for (int64_t n = 0; n < padded; n += kLanes) {
    const __m512 score = _mm512_mul_ps(factor, _mm512_loadu_ps(scores + n));
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

/** Rounds a row of floats where it lies: n of bfloat16 at its beginning. */
M3L_WIDE void Narrow(float* row, int64_t n) {
  auto* to = reinterpret_cast<char*>(row);
  for (int64_t i = 0; i < n; i += kLanes, to += kLanes * sizeof(uint16_t)) {
    const auto narrow = reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(_mm512_loadu_ps(row + i)));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), narrow);
  }
}

/** What is the same for all queries of one head. */
template <typename T>
struct Head {
  const Unit<T>* keys;
  const Unit<T>* values;
  const T* bias;
  float scale;
};

/** Up to 32 queries of one head; `scores` [32, keys rounded up to 32]. */
template <typename T>
M3L_WIDE void Block(const AttentionSizes& of, const Head<T>& head, const T* query,
                    int64_t query_stride, int64_t count, float* scores, T* out, int64_t out_stride,
                    float* log_sums) {
  const int64_t padded = RoundedUp(of.keys, kWide);
  // Rows beyond the last are the last one again.
  const auto rows_at = [&](const T* base, int64_t stride, int64_t first) {
    Rows<T> rows;
    for (int64_t r = 0; r < kTall; ++r) {
      rows[static_cast<size_t>(r)] = base + std::min(first + r, count - 1) * stride;
    }
    return rows;
  };
  const int64_t units = Units<T>(of.channels);
  for (int64_t n = 0; n < padded; n += kWide) {
    for (int64_t first = 0; first < count; first += kTall) {
      Tile<T>(rows_at(query, query_stride, first), head.keys + n * units, units, of.keys - n,
              scores + first * padded + n, padded);
    }
  }
  std::array<float, kBlock> factors;
  for (int64_t r = 0; r < count; ++r) {
    float* row = scores + r * padded;
    const auto [sum, greatest] = Exponentials(row, of.keys, head.bias, head.scale);
    factors[static_cast<size_t>(r)] = 1.0F / sum;
    if (log_sums != nullptr) {
      log_sums[r] = greatest + std::log(sum);
    }
    if constexpr (kPerUnit<T> == 2) {
      Narrow(row, of.keys);
    }
  }
  alignas(64) float sums[kTall * kWide];
  const auto* shares = reinterpret_cast<const T*>(scores);
  for (int64_t c = 0; c < of.channels; c += kWide) {
    const int64_t filled = std::min(kWide, of.channels - c);
    const Unit<T>* panel = head.values + c * Units<T>(of.keys);
    for (int64_t first = 0; first < count; first += kTall) {
      Tile<T>(rows_at(shares, padded * kPerUnit<T>, first), panel, Units<T>(of.keys), filled, sums,
              kWide);
      for (int64_t r = 0; r < std::min(kTall, count - first); ++r) {
        const float factor = factors[static_cast<size_t>(first + r)];
        T* to = out + (first + r) * out_stride + c;
        for (int64_t j = 0; j < filled; ++j) {
          to[j] = Narrowed<T>(factor * sums[r * kWide + j]);
        }
      }
    }
  }
}

}  // namespace

bool CanAttend(at::ScalarType type) {
  const bool wide = MklIsNarrow() && __builtin_cpu_supports("x86-64-v4");
  const bool bfloat16 = __builtin_cpu_supports("avx512bf16");
  return wide && (type == at::kFloat || (type == at::kBFloat16 && bfloat16));
}

template <typename T>
void Attend(const AttentionSizes& sizes, const Tokens<const T>& query, const Tokens<const T>& key,
            const Tokens<const T>& value, const T* bias, float scale, const Tokens<T>& out,
            float* log_sums) {
  const int64_t pairs = sizes.batch * sizes.heads;
  const int64_t key_panels = KeyPanels<T>(sizes);
  const int64_t panels_of_head = key_panels + ValuePanels<T>(sizes);
  const auto at = [&](const auto& tokens, int64_t pair) {
    return tokens.data + pair / sizes.heads * tokens.batch_stride +
           pair % sizes.heads * tokens.head_stride;
  };
  const at::Tensor packed = at::empty({pairs * panels_of_head}, at::kFloat);
  auto* panels = reinterpret_cast<Unit<T>*>(packed.mutable_data_ptr<float>());
  at::parallel_for(0, pairs, std::max<int64_t>(1, kGrain / panels_of_head),
                   [&](int64_t begin, int64_t end) {
                     for (int64_t pair = begin; pair < end; ++pair) {
                       Unit<T>* to = panels + pair * panels_of_head;
                       PackKeys(at(key, pair), key.stride, sizes, to);
                       PackValues(at(value, pair), value.stride, sizes, to + key_panels);
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
          const Unit<T>* of_head = panels + pair * panels_of_head;
          const Head<T> head{of_head, of_head + key_panels,
                             bias == nullptr ? nullptr : bias + pair * sizes.keys, scale};
          Block<T>(sizes, head, at(query, pair) + first * query.stride, query.stride,
                   std::min(kBlock, sizes.queries - first), scores.data(),
                   at(out, pair) + first * out.stride, out.stride,
                   log_sums == nullptr ? nullptr : log_sums + pair * sizes.queries + first);
        }
      });
}

#else

bool CanAttend(at::ScalarType /*type*/) { return false; }

template <typename T>
void Attend(const AttentionSizes& /*sizes*/, const Tokens<const T>& /*query*/,
            const Tokens<const T>& /*key*/, const Tokens<const T>& /*value*/, const T* /*bias*/,
            float /*scale*/, const Tokens<T>& /*out*/, float* /*log_sums*/) {}

#endif

template void Attend(const AttentionSizes&, const Tokens<const float>&, const Tokens<const float>&,
                     const Tokens<const float>&, const float*, float, const Tokens<float>&, float*);
template void Attend(const AttentionSizes&, const Tokens<const c10::BFloat16>&,
                     const Tokens<const c10::BFloat16>&, const Tokens<const c10::BFloat16>&,
                     const c10::BFloat16*, float, const Tokens<c10::BFloat16>&, float*);

}  // namespace m3l::cpu
