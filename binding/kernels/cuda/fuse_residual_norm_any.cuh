// fuse_residual_norm for whatever the register kernels do not take: double, C above 512 or no
// multiple of 16 bytes, unaligned views, and the fusion of three modalities or more. One warp a
// position, one element an access; rows are read again from cache instead of held. Correct first.
#pragma once

#include "fuse_residual_norm.cuh"
#include "rows.cuh"

namespace m3l::cuda {

constexpr int kAnyThreads = 128;
constexpr int kAnyWarps = kAnyThreads / 32;

template <typename T, typename N, typename A>
__global__ void __launch_bounds__(kAnyThreads) NormForwardAny(NormForward<T, N, A> rows) {
  const NormSizes sizes = rows.sizes;
  const int position =
      static_cast<int>(blockIdx.x) * kAnyWarps + static_cast<int>(threadIdx.x) / 32;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  if (position >= sizes.positions) return;
  const int n = sizes.channels;
  const A own = static_cast<A>(sizes.own);
  const A other = static_cast<A>(sizes.other);
  const std::int64_t stride = static_cast<std::int64_t>(sizes.positions) * n;
  const std::int64_t start = static_cast<std::int64_t>(position) * n;
  for (int m = 0; m < sizes.modalities; ++m) {
    const std::int64_t offset = m * stride + start;
    // Each lane reads again only what it has written itself.
    const T* x = rows.branch ? rows.sum + offset : rows.residual + offset;
    const A factor =
        rows.scale ? rows.scale[m * sizes.batch + position / sizes.tokens] : static_cast<A>(1);
    A total = 0;
    for (int c = lane; c < n; c += 32) {
      if (rows.branch) {
        A branch = own * Widen(rows.branch[offset + c]);
        if (other != 0) {
          for (int j = 0; j < sizes.modalities; ++j) {
            if (j != m) branch += other * Widen(rows.branch[j * stride + start + c]);
          }
        }
        rows.sum[offset + c] = Narrow<T>(Widen(rows.residual[offset + c]) + factor * branch);
      }
      total += Widen(x[c]);
    }
    const A mean = GroupSum<32>(total) / static_cast<A>(n);
    A squares = 0;
    for (int c = lane; c < n; c += 32) {
      const A centred = Widen(x[c]) - mean;
      squares += centred * centred;
    }
    const A variance = GroupSum<32>(squares) / static_cast<A>(n);
    const A rstd = static_cast<A>(1) / sqrt(variance + static_cast<A>(rows.eps));
    if (lane == 0) {
      rows.mean[m * static_cast<std::int64_t>(sizes.positions) + position] = mean;
      rows.rstd[m * static_cast<std::int64_t>(sizes.positions) + position] = rstd;
    }
    for (int c = lane; c < n; c += 32) {
      const std::int64_t i = static_cast<std::int64_t>(m) * n + c;
      rows.normal[offset + c] =
          Narrow<N>((Widen(x[c]) - mean) * rstd * rows.weight[i] + rows.bias[i]);
    }
  }
}

/** The gradient of one element of the sum, by the row's two means of its projections. */
template <typename T, typename N, typename A>
__device__ __forceinline__ A SumGradient(const NormBackward<T, N, A>& rows, std::int64_t i,
                                         A weight, A mean, A rstd, A along_one, A along_normal) {
  const A normal = (Widen(rows.sum[i]) - mean) * rstd;
  const A gradient = Widen(rows.normal_gradient[i]) * weight;
  const A direct = rows.sum_gradient ? Widen(rows.sum_gradient[i]) : static_cast<A>(0);
  return direct + rstd * (gradient - along_one - normal * along_normal);
}

/** Shared memory: for each warp and modality, the row's two means: 2 · M · kAnyWarps of A. */
template <typename T, typename N, typename A>
__global__ void __launch_bounds__(kAnyThreads) NormBackwardAny(NormBackward<T, N, A> rows) {
  const NormSizes sizes = rows.sizes;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  A* means = DynamicShared<A>() + 2 * sizes.modalities * warp;
  const int position = static_cast<int>(blockIdx.x) * kAnyWarps + warp;
  if (position >= sizes.positions) return;
  const int n = sizes.channels;
  const std::int64_t positions = sizes.positions;
  const std::int64_t start = static_cast<std::int64_t>(position) * n;
  const A own = static_cast<A>(sizes.own);
  const A other = static_cast<A>(sizes.other);
  for (int m = 0; m < sizes.modalities; ++m) {
    const A mean = rows.mean[m * positions + position];
    const A rstd = rows.rstd[m * positions + position];
    A along_one = 0;
    A along_normal = 0;
    for (int c = lane; c < n; c += 32) {
      const std::int64_t i = m * positions * n + start + c;
      const A g =
          Widen(rows.normal_gradient[i]) * rows.weight[static_cast<std::int64_t>(m) * n + c];
      along_one += g;
      along_normal += g * ((Widen(rows.sum[i]) - mean) * rstd);
    }
    along_one = GroupSum<32>(along_one) / static_cast<A>(n);
    along_normal = GroupSum<32>(along_normal) / static_cast<A>(n);
    if (lane == 0) {
      means[2 * m] = along_one;
      means[2 * m + 1] = along_normal;
    }
  }
  __syncwarp();
  for (int c = lane; c < n; c += 32) {
    const auto gradient = [&](int m) {
      return SumGradient(rows, m * positions * n + start + c,
                         rows.weight[static_cast<std::int64_t>(m) * n + c],
                         rows.mean[m * positions + position], rows.rstd[m * positions + position],
                         means[2 * m], means[2 * m + 1]);
    };
    const auto factor = [&](int m) {
      return rows.scale ? rows.scale[m * sizes.batch + position / sizes.tokens] : static_cast<A>(1);
    };
    for (int m = 0; m < sizes.modalities; ++m) {
      const std::int64_t i = m * positions * n + start + c;
      const A mine = gradient(m);
      if (rows.residual_gradient) rows.residual_gradient[i] = Narrow<T>(mine);
      if (!rows.branch_gradient) continue;
      A branch = own * factor(m) * mine;
      if (other != 0) {
        for (int j = 0; j < sizes.modalities; ++j) {
          if (j != m) branch += other * factor(j) * gradient(j);
        }
      }
      rows.branch_gradient[i] = Narrow<N>(branch);
    }
  }
}

/** Blocks of 32 columns × 8 rows: the sums of weight and bias over a slot of one modality's rows.
 */
template <typename T, typename N, typename A>
__global__ void __launch_bounds__(kColumns* kSlices)
    NormAffineAny(NormBackward<T, N, A> rows, int length) {
  __shared__ A sums[2][kSlices][kColumns];
  const NormSizes sizes = rows.sizes;
  const int c = static_cast<int>(blockIdx.x) * kColumns + static_cast<int>(threadIdx.x);
  const int slot = static_cast<int>(blockIdx.y);
  const int m = static_cast<int>(blockIdx.z);
  const std::int64_t first = static_cast<std::int64_t>(m) * sizes.positions;
  const int end = min(sizes.positions, (slot + 1) * length);
  A weight = 0;
  A bias = 0;
  if (c < sizes.channels) {
    for (int p = slot * length + static_cast<int>(threadIdx.y); p < end; p += kSlices) {
      const std::int64_t i = (first + p) * sizes.channels + c;
      const A gradient = Widen(rows.normal_gradient[i]);
      weight += gradient * ((Widen(rows.sum[i]) - rows.mean[first + p]) * rows.rstd[first + p]);
      bias += gradient;
    }
  }
  sums[0][threadIdx.y][threadIdx.x] = weight;
  sums[1][threadIdx.y][threadIdx.x] = bias;
  __syncthreads();
  if (threadIdx.y != 0 || c >= sizes.channels) return;
#pragma unroll
  for (int slice = 1; slice < kSlices; ++slice) {
    weight += sums[0][slice][threadIdx.x];
    bias += sums[1][slice][threadIdx.x];
  }
  A* to = rows.partial +
          2 * static_cast<std::int64_t>(sizes.channels) * (slot * sizes.modalities + m) + c;
  to[0] = weight;
  to[sizes.channels] = bias;
}

}  // namespace m3l::cuda
