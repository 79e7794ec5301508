// A kernel with a fault planted in it, of the kinds that a GPU may hide; compiled against the
// emulator, which must tell every one of them from the kernel that is right. `planted FAULT` prints
// "right", or "wrong: …" where the result is, or what the emulator says.
#include <cuda_runtime.h>

#include <cstdio>
#include <cstring>
#include <exception>
#include <string>
#include <vector>

#include "kernels/cuda/launch.cuh"
#include "kernels/emulation/guarded_memory.h"

namespace m3l::cuda {
namespace {

enum class Fault {
  kNone,
  kIndex,
  kIndexInFront,
  kMask,
  kEndedLane,
  kBarrier,
  kDivergedBarrier,
  kTail,
  kShortTail,
  kAlignment,
  kOverflow,
  kSharedIndex,
  kSharedUnwritten,
  kSharedDynamic,
};

constexpr const char* kNames[] = {"none",
                                  "index",
                                  "index-in-front",
                                  "mask",
                                  "ended-lane",
                                  "barrier",
                                  "diverged-barrier",
                                  "tail",
                                  "short-tail",
                                  "alignment",
                                  "overflow",
                                  "shared-index",
                                  "shared-unwritten",
                                  "shared-dynamic"};

constexpr int kThreads = 64;

/** The sum over a warp, in each of its lanes. */
template <Fault kFault>
__device__ __forceinline__ float WarpSum(float value) {
  const unsigned mask =
      kFault == Fault::kMask ? 0xffffU << threadIdx.x % 32 / 16 * 16 : 0xffffffffU;
  for (int offset = 16; offset > 0; offset /= 2) value += __shfl_xor_sync(mask, value, offset);
  return value;
}

/** to[block] = the sum of the block's `kThreads` vectors of x [4 · count], and each doubled in
 * `twice`. */
template <Fault kFault>
__global__ void __launch_bounds__(kThreads)
    SumVectors(const float* __restrict__ x, int count, float* __restrict__ twice, float* to,
               [[maybe_unused]] int large) {
  __shared__ float sums[kThreads / 32];
  auto* const counts = DynamicShared<int>();
  const int thread = static_cast<int>(threadIdx.x);
  int i = static_cast<int>(blockIdx.x) * kThreads + thread;
  if (kFault == Fault::kEndedLane && i >= count) return;
  if (kFault == Fault::kOverflow) {
    const int beyond = i + count * large;
    i = beyond - count * large;
  }
  counts[kFault == Fault::kSharedDynamic ? 2 * thread : thread] = i < count ? 1 : 0;
  float sum = 0;
  if (i < count || kFault == Fault::kTail) {
    const int at = kFault == Fault::kIndex          ? 4 * i + 2048
                   : kFault == Fault::kIndexInFront ? 4 * i - 2048
                                                    : 4 * i;
    const float4 vector =
        *reinterpret_cast<const float4*>(x + at + (kFault == Fault::kAlignment ? 1 : 0));
    twice[4 * i] = 2 * vector.x;
    twice[4 * i + 1] = 2 * vector.y;
    twice[4 * i + 2] = 2 * vector.z;
    twice[4 * i + 3] = 2 * vector.w;
    sum = vector.x + vector.y + vector.z + vector.w;
  }
  sum = WarpSum<kFault>(sum);
  const int warp = thread / 32;
  if (thread % 32 == 0 && !(kFault == Fault::kSharedUnwritten && warp == 1)) {
    sums[kFault == Fault::kSharedIndex ? warp + thread / 32 * 2 : warp] = sum;
  }
  if (kFault == Fault::kDivergedBarrier) {
    if (warp == 0) {
      __syncthreads();
    } else {
      __syncthreads();
    }
  } else if (kFault != Fault::kBarrier) {
    __syncthreads();
  }
  int counted = 0;
  for (int other = 0; other < kThreads; ++other) counted += counts[other];
  if (thread == 32) to[blockIdx.x] = counted == 0 ? 0 : sums[0] + sums[1];
}

template <Fault kFault>
std::string Run() {
  constexpr int kCount = 150;
  constexpr int kBlocks = (kCount + kThreads - 1) / kThreads;
  auto* const x = static_cast<float*>(emulation::AllocateGuarded(4 * kCount * sizeof(float)));
  // The last vector ends with the buffer, or 4 bytes behind it.
  constexpr std::size_t kLength = 4 * kCount - (kFault == Fault::kShortTail ? 1 : 0);
  auto* const twice = static_cast<float*>(emulation::AllocateGuarded(kLength * sizeof(float)));
  auto* const to = static_cast<float*>(emulation::AllocateGuarded(kBlocks * sizeof(float)));
  std::vector<float> wanted(kBlocks, 0.0F);
  for (int i = 0; i < 4 * kCount; ++i) {
    x[i] = static_cast<float>(i % 7);
    wanted[static_cast<std::size_t>(i / 4 / kThreads)] += x[i];
  }
  // As often as there are orders.
  for (int turn = 0; turn < 3; ++turn) {
    Launch(SumVectors<kFault>, kBlocks, kThreads, kThreads * sizeof(int), nullptr, x, kCount, twice,
           to, 1 << 24);
    for (int block = 0; block < kBlocks; ++block) {
      if (to[block] != wanted[static_cast<std::size_t>(block)]) {
        return "wrong: block " + std::to_string(block) + " sums to " + std::to_string(to[block]);
      }
    }
    for (std::size_t i = 0; i < kLength; ++i) {
      if (twice[i] != 2 * x[i]) return "wrong: element " + std::to_string(i);
    }
  }
  return "right";
}

__global__ void Nothing() {}

/** Launches that a GPU refuses, or may. */
std::string RunLimit(const std::string& name) {
  if (name == "empty-grid") Launch(Nothing, 0, 32, 0, nullptr);
  if (name == "grid-in-y") Launch(Nothing, dim3(1, 65536), 32, 0, nullptr);
  if (name == "block") Launch(Nothing, 1, 1025, 0, nullptr);
  if (name == "shared-bytes") Launch(Nothing, 1, 32, (48 << 10) + 1, nullptr);
  return "unknown";
}

template <int... kFaults>
std::string RunNamed(const std::string& name, std::integer_sequence<int, kFaults...>) {
  std::string result;
  ((name == kNames[kFaults] ? (result = Run<static_cast<Fault>(kFaults)>(), 0) : 0), ...);
  return result.empty() ? RunLimit(name) : result;
}

}  // namespace
}  // namespace m3l::cuda

int main(int count, char** arguments) {
  try {
    const std::string name = count > 1 ? arguments[1] : "none";
    const auto all = std::make_integer_sequence<int, std::size(m3l::cuda::kNames)>{};
    std::printf("%s\n", m3l::cuda::RunNamed(name, all).c_str());
  } catch (const std::exception& error) {
    std::printf("%s\n", error.what());
  }
  return 0;
}
