#include "fuse_residual_norm.cuh"
#include "fuse_residual_norm_any.cuh"

namespace m3l::cuda {
namespace {

// A group of 4 to 32 lanes takes one position, of both streams where they are fused: each lane
// holds at most 16 columns of a row in registers, so everything is read and written once. Forward:
// 128 threads, 40 to 90 registers, no shared memory: 5 to 12 blocks (20 to 48 warps) an SM, each
// lane with up to 16 independent 16-byte loads under way. Backward: 128 threads, up to about 200
// registers (64 of them sums of weight and bias): 2 blocks of 4 warps an SM at C = 512, 4 and more
// below; up to 8 KB of shared memory, used once at the end.
constexpr int kThreads = 128;

template <int kLanes_, int kPer_, int kStreams_>
struct Layout {
  static constexpr int kLanes = kLanes_;      // of a group
  static constexpr int kPer = kPer_;          // vectors a lane
  static constexpr int kStreams = kStreams_;  // 2: fused; 1: modalities apart, one a blockIdx.y
  static constexpr int kGroups = kThreads / kLanes;
};

template <typename L, typename T, typename N>
__global__ void __launch_bounds__(kThreads) NormForwardKernel(NormForward<T, N, float> rows) {
  constexpr int kCount = kVector<N>;
  const NormSizes sizes = rows.sizes;
  const int lane = static_cast<int>(threadIdx.x) % L::kLanes;
  const int position =
      static_cast<int>(blockIdx.x) * L::kGroups + static_cast<int>(threadIdx.x) / L::kLanes;
  if (position >= sizes.positions) return;
  const int n = sizes.channels;
  const int first = static_cast<int>(blockIdx.y) * L::kStreams;
  const auto row = [&](int s) {
    return static_cast<std::int64_t>(first + s) * sizes.positions + position;
  };
  const auto column = [&](int i) { return (lane + i * L::kLanes) * kCount; };

  float x[L::kStreams][L::kPer][kCount];
  float branch[L::kStreams][L::kPer][kCount];
#pragma unroll
  for (int s = 0; s < L::kStreams; ++s) {
#pragma unroll
    for (int i = 0; i < L::kPer; ++i) {
      if (column(i) >= n) continue;
      LoadVector(rows.residual + row(s) * n + column(i), x[s][i]);
      if (rows.branch) LoadVector(rows.branch + row(s) * n + column(i), branch[s][i]);
    }
  }
  const float own = static_cast<float>(sizes.own);
  const float other = static_cast<float>(sizes.other);
#pragma unroll
  for (int s = 0; s < L::kStreams; ++s) {
    if (rows.branch) {
      const float factor =
          rows.scale ? rows.scale[(first + s) * sizes.batch + position / sizes.tokens] : 1.0F;
#pragma unroll
      for (int i = 0; i < L::kPer; ++i) {
        if (column(i) >= n) continue;
#pragma unroll
        for (int k = 0; k < kCount; ++k) {
          float mine = branch[s][i][k];
          if constexpr (L::kStreams == 2) mine = own * mine + other * branch[1 - s][i][k];
          // What is normalised is what is stored, rounded: the backward pass knows no other sum.
          x[s][i][k] = Widen(Narrow<T>(x[s][i][k] + factor * mine));
        }
        StoreVector(rows.sum + row(s) * n + column(i), x[s][i]);
      }
    }
    float total = 0;
#pragma unroll
    for (int i = 0; i < L::kPer; ++i) {
      if (column(i) >= n) continue;
#pragma unroll
      for (int k = 0; k < kCount; ++k) total += x[s][i][k];
    }
    const float mean = GroupSum<L::kLanes>(total) / static_cast<float>(n);
    float squares = 0;
#pragma unroll
    for (int i = 0; i < L::kPer; ++i) {
      if (column(i) >= n) continue;
#pragma unroll
      for (int k = 0; k < kCount; ++k) squares += (x[s][i][k] - mean) * (x[s][i][k] - mean);
    }
    const float variance = GroupSum<L::kLanes>(squares) / static_cast<float>(n);
    const float rstd = 1.0F / sqrtf(variance + static_cast<float>(rows.eps));
    if (lane == 0) {
      rows.mean[row(s)] = mean;
      rows.rstd[row(s)] = rstd;
    }
#pragma unroll
    for (int i = 0; i < L::kPer; ++i) {
      if (column(i) >= n) continue;
      float weight[kCount];
      float bias[kCount];
      LoadVector(rows.weight + (first + s) * n + column(i), weight);
      LoadVector(rows.bias + (first + s) * n + column(i), bias);
#pragma unroll
      for (int k = 0; k < kCount; ++k) {
        x[s][i][k] = (x[s][i][k] - mean) * rstd * weight[k] + bias[k];
      }
      StoreVector(rows.normal + row(s) * n + column(i), x[s][i]);
    }
  }
}

/** Adds every group's sums, group by group, and writes them to this block's slot. */
template <typename L, int kCount>
__device__ __forceinline__ void AddGroups(const float (&weight)[L::kPer][kCount],
                                          const float (&bias)[L::kPer][kCount], int n, float* to) {
  __shared__ float sums[2][L::kLanes * L::kPer * kCount];
  const int lane = static_cast<int>(threadIdx.x) % L::kLanes;
  const int mine = static_cast<int>(threadIdx.x) / L::kLanes;
  for (int group = 0; group < L::kGroups; ++group) {
    if (group == mine) {
#pragma unroll
      for (int i = 0; i < L::kPer; ++i) {
        const int column = (lane + i * L::kLanes) * kCount;
#pragma unroll
        for (int k = 0; k < kCount; ++k) {
          sums[0][column + k] = (group > 0 ? sums[0][column + k] : 0.0F) + weight[i][k];
          sums[1][column + k] = (group > 0 ? sums[1][column + k] : 0.0F) + bias[i][k];
        }
      }
    }
    __syncthreads();
  }
  for (int c = static_cast<int>(threadIdx.x); c < n; c += kThreads) {
    to[c] = sums[0][c];
    to[n + c] = sums[1][c];
  }
  __syncthreads();
}

template <typename L, typename T, typename N>
__global__ void __launch_bounds__(kThreads) NormBackwardKernel(NormBackward<T, N, float> rows) {
  constexpr int kCount = kVector<N>;
  const NormSizes sizes = rows.sizes;
  const int lane = static_cast<int>(threadIdx.x) % L::kLanes;
  const int n = sizes.channels;
  const int first = static_cast<int>(blockIdx.y) * L::kStreams;
  const int step = static_cast<int>(gridDim.x) * L::kGroups;
  const auto column = [&](int i) { return (lane + i * L::kLanes) * kCount; };
  const float own = static_cast<float>(sizes.own);
  const float other = static_cast<float>(sizes.other);
  const float share = 1.0F / static_cast<float>(n);

  float weight_sum[L::kStreams][L::kPer][kCount] = {};
  float bias_sum[L::kStreams][L::kPer][kCount] = {};
  for (int position =
           static_cast<int>(blockIdx.x) * L::kGroups + static_cast<int>(threadIdx.x) / L::kLanes;
       position < sizes.positions; position += step) {
    float result[L::kStreams][L::kPer][kCount];
#pragma unroll
    for (int s = 0; s < L::kStreams; ++s) {
      const std::int64_t row = static_cast<std::int64_t>(first + s) * sizes.positions + position;
      const float mean = rows.mean[row];
      const float rstd = rows.rstd[row];
      float normal[L::kPer][kCount];
      float along_one = 0;
      float along_normal = 0;
#pragma unroll
      for (int i = 0; i < L::kPer; ++i) {
        if (column(i) >= n) continue;
        LoadVector(rows.normal_gradient + row * n + column(i), result[s][i]);
        LoadVector(rows.sum + row * n + column(i), normal[i]);
        float weight[kCount];
        LoadVector(rows.weight + (first + s) * n + column(i), weight);
#pragma unroll
        for (int k = 0; k < kCount; ++k) {
          const float gradient = result[s][i][k];
          normal[i][k] = (normal[i][k] - mean) * rstd;
          weight_sum[s][i][k] += gradient * normal[i][k];
          bias_sum[s][i][k] += gradient;
          result[s][i][k] = gradient * weight[k];
          along_one += result[s][i][k];
          along_normal += result[s][i][k] * normal[i][k];
        }
      }
      along_one = GroupSum<L::kLanes>(along_one) * share;
      along_normal = GroupSum<L::kLanes>(along_normal) * share;
      const float factor =
          rows.scale ? rows.scale[(first + s) * sizes.batch + position / sizes.tokens] : 1.0F;
#pragma unroll
      for (int i = 0; i < L::kPer; ++i) {
        if (column(i) >= n) continue;
        float direct[kCount] = {};
        if (rows.sum_gradient) LoadVector(rows.sum_gradient + row * n + column(i), direct);
#pragma unroll
        for (int k = 0; k < kCount; ++k) {
          result[s][i][k] =
              direct[k] + rstd * (result[s][i][k] - along_one - normal[i][k] * along_normal);
        }
        if (rows.residual_gradient) {
          StoreVector(rows.residual_gradient + row * n + column(i), result[s][i]);
        }
#pragma unroll
        for (int k = 0; k < kCount; ++k) result[s][i][k] *= factor;
      }
    }
    if (!rows.branch_gradient) continue;
    // The matrix that mixes the modalities is symmetric: the gradients are fused as the tokens
    // are.
#pragma unroll
    for (int s = 0; s < L::kStreams; ++s) {
      const std::int64_t row = static_cast<std::int64_t>(first + s) * sizes.positions + position;
#pragma unroll
      for (int i = 0; i < L::kPer; ++i) {
        if (column(i) >= n) continue;
        float branch[kCount];
#pragma unroll
        for (int k = 0; k < kCount; ++k) {
          branch[k] = result[s][i][k];
          if constexpr (L::kStreams == 2) branch[k] = own * branch[k] + other * result[1 - s][i][k];
        }
        StoreVector(rows.branch_gradient + row * n + column(i), branch);
      }
    }
  }
  if (!rows.partial) return;
#pragma unroll
  for (int s = 0; s < L::kStreams; ++s) {
    const std::int64_t slot = static_cast<std::int64_t>(blockIdx.x) * sizes.modalities + first + s;
    AddGroups<L, kCount>(weight_sum[s], bias_sum[s], n, rows.partial + slot * 2 * n);
  }
}

bool Fused(const NormSizes& sizes) { return sizes.other != 0; }

/** Whether the kernels above take these sizes; the caller sees to alignment. */
template <typename N>
bool FitsRegisters(const NormSizes& sizes) {
  return sizeof(N) < 8 && sizes.channels % kVector<N> == 0 && sizes.channels <= 512 &&
         sizes.modalities <= 65535 && (!Fused(sizes) || sizes.modalities == 2);
}

/** Calls `launch` with the layout for rows of `vectors`, at most 128 (of 4) or 64 (of 8). */
template <typename N, int kStreams, typename Launch>
void WithLayout(int vectors, const Launch& launch) {
  if (vectors <= 4) {
    launch(Layout<4, 1, kStreams>{});
  } else if (vectors <= 8) {
    launch(Layout<8, 1, kStreams>{});
  } else if (vectors <= 16) {
    launch(Layout<16, 1, kStreams>{});
  } else if (vectors <= 32) {
    launch(Layout<32, 1, kStreams>{});
  } else if (vectors <= 64) {
    launch(Layout<32, 2, kStreams>{});
  } else if constexpr (kVector<N> == 4) {
    launch(Layout<32, 4, kStreams>{});
  }
}

template <typename N, typename Launch>
void WithLayout(const NormSizes& sizes, const Launch& launch) {
  const int vectors = sizes.channels / kVector<N>;
  if (Fused(sizes)) {
    WithLayout<N, 2>(vectors, launch);
  } else {
    WithLayout<N, 1>(vectors, launch);
  }
}

unsigned Divide(int x, int by) { return static_cast<unsigned>((x + by - 1) / by); }

template <typename... Pointers>
bool AllAligned(Pointers... pointers) {
  return (Aligned(pointers) && ...);
}

}  // namespace

template <typename T, typename N, typename A>
void LaunchNormForward(const NormForward<T, N, A>& rows, cudaStream_t stream) {
  const NormSizes& sizes = rows.sizes;
  if (sizes.positions == 0) return;
  if constexpr (sizeof(T) < 8) {
    if (FitsRegisters<N>(sizes) &&
        AllAligned(rows.residual, rows.branch, rows.weight, rows.bias, rows.sum, rows.normal)) {
      WithLayout<N>(sizes, [&](auto layout) {
        using L = decltype(layout);
        const dim3 blocks(Divide(sizes.positions, L::kGroups),
                          static_cast<unsigned>(sizes.modalities / L::kStreams));
        Launch(NormForwardKernel<L, T, N>, blocks, kThreads, 0, stream, rows);
      });
      return;
    }
  }
  Launch(NormForwardAny<T, N, A>, Divide(sizes.positions, kAnyWarps), kAnyThreads, 0, stream, rows);
}

int NormSlots(const NormSizes& sizes) {
  int device = 0;
  int multiprocessors = 1;
  cudaGetDevice(&device);
  cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, device);
  // At least 32 positions a block, at most 4 blocks an SM: what is there at once, so that the sums
  // stay in registers as long as they can.
  const int most = 4 * multiprocessors;
  const int slots = static_cast<int>(Divide(sizes.positions, 32));
  return slots < most ? slots : most;
}

template <typename T, typename N, typename A>
void LaunchNormBackward(const NormBackward<T, N, A>& rows, int slots, cudaStream_t stream) {
  const NormSizes& sizes = rows.sizes;
  bool done = false;
  if constexpr (sizeof(T) < 8) {
    if (slots > 0 && FitsRegisters<N>(sizes) &&
        AllAligned(rows.sum_gradient, rows.normal_gradient, rows.sum, rows.weight,
                   rows.residual_gradient, rows.branch_gradient)) {
      WithLayout<N>(sizes, [&](auto layout) {
        using L = decltype(layout);
        const dim3 blocks(static_cast<unsigned>(slots),
                          static_cast<unsigned>(sizes.modalities / L::kStreams));
        Launch(NormBackwardKernel<L, T, N>, blocks, kThreads, 0, stream, rows);
      });
      done = true;
    }
  }
  if (!done && slots > 0) {
    if (rows.residual_gradient || rows.branch_gradient) {
      const std::size_t shared =
          2 * sizeof(A) * kAnyWarps * static_cast<std::size_t>(sizes.modalities);
      Launch(NormBackwardAny<T, N, A>, Divide(sizes.positions, kAnyWarps), kAnyThreads, shared,
             stream, rows);
    }
    if (rows.partial) {
      const dim3 blocks(Divide(sizes.channels, kColumns), static_cast<unsigned>(slots),
                        static_cast<unsigned>(sizes.modalities));
      Launch(NormAffineAny<T, N, A>, blocks, dim3(kColumns, kSlices), 0, stream, rows,
             static_cast<int>(Divide(sizes.positions, slots)));
    }
  }
  if (rows.affine_gradient) {
    LaunchAddSlots(rows.partial, slots, 2 * sizes.modalities * sizes.channels, rows.affine_gradient,
                   stream);
  }
}

#define M3L_INSTANTIATE(T, N, A)                                                       \
  template void LaunchNormForward<T, N, A>(const NormForward<T, N, A>&, cudaStream_t); \
  template void LaunchNormBackward<T, N, A>(const NormBackward<T, N, A>&, int, cudaStream_t);
M3L_INSTANTIATE(float, float, float)
M3L_INSTANTIATE(double, double, double)
M3L_INSTANTIATE(__half, __half, float)
M3L_INSTANTIATE(__nv_bfloat16, __nv_bfloat16, float)
M3L_INSTANTIATE(float, __half, float)
M3L_INSTANTIATE(float, __nv_bfloat16, float)
#undef M3L_INSTANTIATE

}  // namespace m3l::cuda
