// The loops over rows of tokens; cpu/fuse_residual_norm.cpp calls them for every type.
#pragma once

#include <cmath>
#include <cstdint>
#include <type_traits>

#include "../fuse_residual_norm.h"
#include "narrow.h"
#include "vector.h"

namespace m3l::cpu {

/** T: residual and sum as stored, N: branch and normal; A: as computed. Null where absent or not
 * wanted. */
template <typename T, typename N, typename A>
struct ForwardRows {
  NormShape shape;
  const T* residual;
  const N* branch;
  const A* scale;
  const A* weight;
  const A* bias;
  T* sum;
  N* normal;
  A* mean;
  A* rstd;
  A eps;
};

template <typename T, typename N, typename A>
struct BackwardRows {
  NormShape shape;
  const T* sum_gradient;
  const N* normal_gradient;
  const T* sum;
  const A* scale;
  const A* weight;
  const A* mean;
  const A* rstd;
  T* residual_gradient;
  N* branch_gradient;
};

/** out = base + factor · fuse(branch), by the sum of all streams; then by the other one; alone. */
template <typename T, typename N, typename A>
inline void AddFused(const T* __restrict base, const N* __restrict mine, const A* __restrict others,
                     A own, A other, A factor, A* __restrict out, int64_t n) {
#pragma omp simd
  for (int64_t c = 0; c < n; ++c) {
    out[c] = Widened<A>(base[c]) +
             factor * (own * Widened<A>(mine[c]) + other * (others[c] - Widened<A>(mine[c])));
  }
}

template <typename T, typename N, typename A>
inline void AddTwo(const T* __restrict base, const N* __restrict mine, const N* __restrict theirs,
                   A own, A other, A factor, A* __restrict out, int64_t n) {
#pragma omp simd
  for (int64_t c = 0; c < n; ++c) {
    out[c] =
        Widened<A>(base[c]) + factor * (own * Widened<A>(mine[c]) + other * Widened<A>(theirs[c]));
  }
}

template <typename T, typename N, typename A>
inline void AddOne(const T* __restrict base, const N* __restrict mine, A factor, A* __restrict out,
                   int64_t n) {
#pragma omp simd
  for (int64_t c = 0; c < n; ++c) {
    out[c] = Widened<A>(base[c]) + factor * Widened<A>(mine[c]);
  }
}

/** total[c] = Σ_m x[m][c], rows `stride` apart. */
template <typename T, typename A>
inline void SumStreams(const T* __restrict x, int64_t stride, int64_t modalities,
                       A* __restrict total, int64_t n) {
  for (int64_t c = 0; c < n; ++c) {
    total[c] = 0;
  }
  for (int64_t m = 0; m < modalities; ++m) {
#pragma omp simd
    for (int64_t c = 0; c < n; ++c) {
      total[c] += Widened<A>(x[m * stride + c]);
    }
  }
}

/** Mean and 1/σ in two passes over a row that lies in the first cache. */
template <typename A>
inline void Moments(const A* __restrict x, int64_t n, A eps, A& mean, A& rstd) {
  A sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t c = 0; c < n; ++c) {
    sum += x[c];
  }
  mean = sum / static_cast<A>(n);
  const A centre = mean;
  A squares = 0;
#pragma omp simd reduction(+ : squares)
  for (int64_t c = 0; c < n; ++c) {
    squares += (x[c] - centre) * (x[c] - centre);
  }
  rstd = 1 / std::sqrt(squares / static_cast<A>(n) + eps);
}

/**
 * Positions [begin, end) of all streams. `scratch`: two rows of C. kChannels: C where known, 0
 * else: loops over few channels take half the time when their length is a constant.
 */
template <int kChannels, typename T, typename N, typename A>
M3L_VECTORISED void Forward(const ForwardRows<T, N, A>& rows, int64_t begin, int64_t end,
                            A* __restrict scratch) {
  const auto shape = rows.shape;
  const int64_t n = kChannels > 0 ? kChannels : shape.channels;
  const int64_t stride = shape.Positions() * n;
  const A own = static_cast<A>(shape.own);
  const A other = static_cast<A>(shape.other);
  A* __restrict x = scratch;
  A* __restrict total = scratch + n;
  for (int64_t position = begin; position < end; ++position) {
    const N* branch = rows.branch ? rows.branch + position * n : nullptr;
    if (branch && shape.Fused() && shape.modalities > 2) {
      SumStreams(branch, stride, shape.modalities, total, n);
    }
    for (int64_t m = 0; m < shape.modalities; ++m) {
      const int64_t offset = m * stride + position * n;
      const T* base = rows.residual + offset;
      if (branch) {
        const A factor = rows.scale ? rows.scale[m * shape.batch + position / shape.tokens] : A(1);
        const N* mine = branch + m * stride;
        if (!shape.Fused()) {
          AddOne(base, mine, factor, x, n);
        } else if (shape.modalities == 2) {
          AddTwo(base, mine, branch + (1 - m) * stride, own, other, factor, x, n);
        } else {
          AddFused(base, mine, total, own, other, factor, x, n);
        }
        // What is normalised is what is stored, rounded: the backward pass knows no other sum.
        T* __restrict sum = rows.sum + offset;
#pragma omp simd
        for (int64_t c = 0; c < n; ++c) {
          sum[c] = Narrowed<T>(x[c]);
        }
        if constexpr (!std::is_same_v<T, A>) {
#pragma omp simd
          for (int64_t c = 0; c < n; ++c) {
            x[c] = Widened<A>(sum[c]);
          }
        }
      } else {
#pragma omp simd
        for (int64_t c = 0; c < n; ++c) {
          x[c] = Widened<A>(base[c]);
        }
      }
      A mean;
      A rstd;
      Moments(x, n, rows.eps, mean, rstd);
      const int64_t row = m * shape.Positions() + position;
      rows.mean[row] = mean;
      rows.rstd[row] = rstd;
      const A* __restrict weight = rows.weight + m * n;
      const A* __restrict bias = rows.bias + m * n;
      N* __restrict normal = rows.normal + offset;
#pragma omp simd
      for (int64_t c = 0; c < n; ++c) {
        normal[c] = Narrowed<N>((x[c] - mean) * rstd * weight[c] + bias[c]);
      }
    }
  }
}

/**
 * Positions [begin, end) of all streams. `scratch`: M + 1 rows of C. `affine`, unless null: the
 * gradients of weight and bias of these positions, [M, 2, C], added to. kChannels as above.
 */
template <int kChannels, typename T, typename N, typename A>
M3L_VECTORISED void Backward(const BackwardRows<T, N, A>& rows, int64_t begin, int64_t end,
                             A* __restrict affine, A* __restrict scratch) {
  const auto shape = rows.shape;
  const int64_t n = kChannels > 0 ? kChannels : shape.channels;
  const int64_t stride = shape.Positions() * n;
  const A own = static_cast<A>(shape.own);
  const A other = static_cast<A>(shape.other);
  const bool inputs = rows.residual_gradient || rows.branch_gradient;
  A* __restrict total = scratch + shape.modalities * n;
  for (int64_t position = begin; position < end; ++position) {
    for (int64_t m = 0; m < shape.modalities; ++m) {
      const int64_t offset = m * stride + position * n;
      const int64_t row = m * shape.Positions() + position;
      const A mean = rows.mean[row];
      const A rstd = rows.rstd[row];
      const N* __restrict gradient = rows.normal_gradient + offset;
      const T* __restrict sum = rows.sum + offset;
      const A* __restrict weight = rows.weight + m * n;
      if (affine) {
        A* __restrict weight_gradient = affine + 2 * m * n;
        A* __restrict bias_gradient = weight_gradient + n;
#pragma omp simd
        for (int64_t c = 0; c < n; ++c) {
          weight_gradient[c] += Widened<A>(gradient[c]) * ((Widened<A>(sum[c]) - mean) * rstd);
          bias_gradient[c] += Widened<A>(gradient[c]);
        }
      }
      if (!inputs) {
        continue;
      }
      A along_one = 0;
      A along_normal = 0;
#pragma omp simd reduction(+ : along_one, along_normal)
      for (int64_t c = 0; c < n; ++c) {
        const A g = Widened<A>(gradient[c]) * weight[c];
        along_one += g;
        along_normal += g * ((Widened<A>(sum[c]) - mean) * rstd);
      }
      along_one /= static_cast<A>(n);
      along_normal /= static_cast<A>(n);
      A* __restrict result = scratch + m * n;
#pragma omp simd
      for (int64_t c = 0; c < n; ++c) {
        const A normal = (Widened<A>(sum[c]) - mean) * rstd;
        result[c] =
            rstd * (Widened<A>(gradient[c]) * weight[c] - along_one - normal * along_normal);
      }
      if (rows.sum_gradient) {
        const T* __restrict direct = rows.sum_gradient + offset;
#pragma omp simd
        for (int64_t c = 0; c < n; ++c) {
          result[c] += Widened<A>(direct[c]);
        }
      }
      if (rows.residual_gradient) {
        T* __restrict to = rows.residual_gradient + offset;
#pragma omp simd
        for (int64_t c = 0; c < n; ++c) {
          to[c] = Narrowed<T>(result[c]);
        }
      }
      if (rows.branch_gradient && rows.scale) {
        const A factor = rows.scale[m * shape.batch + position / shape.tokens];
#pragma omp simd
        for (int64_t c = 0; c < n; ++c) {
          result[c] *= factor;
        }
      }
    }
    if (!rows.branch_gradient) {
      continue;
    }
    // The matrix that mixes the modalities is symmetric: the gradients are fused as the tokens are.
    if (shape.Fused() && shape.modalities > 2) {
      SumStreams(scratch, n, shape.modalities, total, n);
    }
    for (int64_t m = 0; m < shape.modalities; ++m) {
      const A* __restrict mine = scratch + m * n;
      N* __restrict to = rows.branch_gradient + m * stride + position * n;
      // clang-tidy does not look into loops under `omp simd`: NOLINTNEXTLINE(bugprone-branch-clone)
      if (!shape.Fused()) {
#pragma omp simd
        for (int64_t c = 0; c < n; ++c) {
          to[c] = Narrowed<N>(mine[c]);
        }
      } else if (shape.modalities == 2) {
        const A* __restrict theirs = scratch + (1 - m) * n;
#pragma omp simd
        for (int64_t c = 0; c < n; ++c) {
          to[c] = Narrowed<N>(own * mine[c] + other * theirs[c]);
        }
      } else {
#pragma omp simd
        for (int64_t c = 0; c < n; ++c) {
          to[c] = Narrowed<N>(own * mine[c] + other * (total[c] - mine[c]));
        }
      }
    }
  }
}

/** Calls `run` with C as a constant where it is one of the narrow stages' and the type no double.
 */
template <typename T, typename Run>
void WithChannels(int64_t channels, const Run& run) {
  if constexpr (!std::is_same_v<T, double>) {
    if (channels == 32) {
      return run(std::integral_constant<int, 32>{});
    }
    if (channels == 64) {
      return run(std::integral_constant<int, 64>{});
    }
  }
  run(std::integral_constant<int, 0>{});
}

}  // namespace m3l::cpu
