// In place of CUDA's own header where kernels are compiled for the CPU (emulation/emulator.h): the
// part of the language and of its library that they use.
#pragma once

#include <math.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <source_location>
#include <type_traits>

#include "../emulator.h"

#define __global__
#define __device__
#define __host__
#define __grid_constant__
#define __forceinline__ inline
#define __launch_bounds__(...)
// A copy for each host thread, of which one runs a block at a time; emulator.cpp poisons it.
#define __shared__ static thread_local
#define __align__(bytes) alignas(bytes)

using cudaStream_t = void*;
enum cudaDeviceAttr { cudaDevAttrMultiProcessorCount };

inline int cudaGetDevice(int* device) { return *device = 0; }
/** Few processors, so that loops over what does not fit them at once are run. */
inline int cudaDeviceGetAttribute(int* value, cudaDeviceAttr, int) {
  *value = 3;
  return 0;
}

constexpr unsigned cudaHostAllocMapped = 1;
constexpr unsigned cudaHostAllocPortable = 2;
inline int cudaHostAlloc(void** memory, std::size_t bytes, unsigned) {
  *memory = std::calloc(1, bytes);
  return *memory == nullptr ? 2 : 0;
}

// Of the thread that runs.
extern uint3 threadIdx;
extern uint3 blockIdx;
extern dim3 blockDim;
extern dim3 gridDim;

using M3lSourceLine = std::source_location;

inline void __syncthreads(M3lSourceLine where = M3lSourceLine::current()) {
  m3l::emulation::Barrier(where);
}

template <typename T>
std::uint64_t M3lBits(T value) {
  static_assert(sizeof(T) <= sizeof(std::uint64_t));
  std::uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(value));
  return bits;
}

template <typename T>
T M3lShuffle(unsigned mask, T value, int source, M3lSourceLine where) {
  const auto bits = m3l::emulation::ExchangeInWarp(m3l::emulation::Exchange::kShuffle, mask,
                                                   M3lBits(value), source, where);
  T result;
  std::memcpy(&result, &bits, sizeof(result));
  return result;
}

inline void __syncwarp(unsigned mask = 0xffffffffU,
                       M3lSourceLine where = M3lSourceLine::current()) {
  m3l::emulation::ExchangeInWarp(m3l::emulation::Exchange::kSync, mask, 0, 0, where);
}

template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int bits,
                  M3lSourceLine where = M3lSourceLine::current()) {
  return M3lShuffle(mask, value, m3l::emulation::Lane() ^ bits, where);
}

/** The lanes at the end keep their own. */
template <typename T>
T __shfl_down_sync(unsigned mask, T value, int by, M3lSourceLine where = M3lSourceLine::current()) {
  const int source = m3l::emulation::Lane() + by;
  return M3lShuffle(mask, value, source < 32 ? source : m3l::emulation::Lane(), where);
}

template <typename T>
unsigned __match_any_sync(unsigned mask, T value, M3lSourceLine where = M3lSourceLine::current()) {
  return static_cast<unsigned>(m3l::emulation::ExchangeInWarp(m3l::emulation::Exchange::kMatch,
                                                              mask, M3lBits(value), 0, where));
}

// One thread runs at a time.
inline void __threadfence_system() {}
template <typename T>
T atomicAdd(T* to, std::type_identity_t<T> value) {
  const T before = *to;
  *to = before + value;
  return before;
}
template <typename T>
T atomicExch(T* to, std::type_identity_t<T> value) {
  const T before = *to;
  *to = value;
  return before;
}

inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __popc(unsigned x) { return std::popcount(x); }
template <typename T>
T __ldg(const T* from) {
  return *from;
}
inline float __expf(float x) { return expf(x); }
inline float __fdividef(float x, float y) { return x / y; }
inline unsigned __float_as_uint(float x) { return std::bit_cast<unsigned>(x); }
inline float __uint_as_float(unsigned x) { return std::bit_cast<float>(x); }
inline long long __double_as_longlong(double x) { return std::bit_cast<long long>(x); }
inline double __longlong_as_double(long long x) { return std::bit_cast<double>(x); }

// Of a number and a NaN the number, as CUDA's.
template <typename T>
T min(T x, T y) {
  if constexpr (std::is_floating_point_v<T>) return std::fmin(x, y);
  return y < x ? y : x;
}
template <typename T>
T max(T x, T y) {
  if constexpr (std::is_floating_point_v<T>) return std::fmax(x, y);
  return x < y ? y : x;
}
