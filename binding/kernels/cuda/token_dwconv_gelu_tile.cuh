// Channels in packs of up to 16 bytes, and the normal distribution that GELU and its slope read,
// for token_dwconv_gelu.cu alone.
#pragma once

#include "rows.cuh"

namespace m3l::cuda {
namespace {

template <int kBytes>
struct WordOf;
template <>
struct WordOf<2> {
  using Type = std::uint16_t;
};
template <>
struct WordOf<4> {
  using Type = std::uint32_t;
};
template <>
struct WordOf<8> {
  using Type = uint2;
};
template <>
struct WordOf<16> {
  using Type = uint4;
};

/** kCount elements as they lie in memory, in one access. */
template <typename T, int kCount>
struct Packed {
  using Word = typename WordOf<kCount* static_cast<int>(sizeof(T))>::Type;
  Word word;

  __device__ __forceinline__ void Load(const T* from) {
    word = *reinterpret_cast<const Word*>(from);
  }
  __device__ __forceinline__ void Unpack(ComputesIn<T> (&to)[kCount]) const {
    T values[kCount];
    __builtin_memcpy(values, &word, sizeof(word));
#pragma unroll
    for (int i = 0; i < kCount; ++i) to[i] = Widen(values[i]);
  }
  __device__ __forceinline__ void Pack(const ComputesIn<T> (&from)[kCount]) {
    T values[kCount];
#pragma unroll
    for (int i = 0; i < kCount; ++i) values[i] = Narrow<T>(from[i]);
    __builtin_memcpy(&word, values, sizeof(word));
  }
  __device__ __forceinline__ void Store(T* to) const { *reinterpret_cast<Word*>(to) = word; }
};

/** Φ(v) and φ(v). */
template <typename T>
__device__ __forceinline__ void Normal(float v, float& cdf, float& density) {
  cdf = 0.5F * (1.0F + erff(v * 0.70710678F));
  density = 0.39894228F * expf(-0.5F * v * v);
}
template <typename T>
__device__ __forceinline__ void Normal(double v, double& cdf, double& density) {
  cdf = 0.5 * (1.0 + erf(v * 0.70710678118654752440));
  density = 0.39894228040143267794 * exp(-0.5 * v * v);
}

/** For half types, where arithmetic and not memory is the bound: Abramowitz and Stegun 7.1.26, with
 * one exponential for both; 1e-7 is far below their last bit. */
__device__ __forceinline__ void NormalOfHalf(float v, float& cdf, float& density) {
  const float e = __expf(-0.5F * v * v);
  const float t = __fdividef(1.0F, 1.0F + 0.23164189F * fabsf(v));
  float p = 0.53070271F;
  p = p * t - 0.72657601F;
  p = p * t + 0.71070687F;
  p = p * t - 0.14224837F;
  p = p * t + 0.12741480F;
  const float tail = p * t * e;
  cdf = v < 0.0F ? tail : 1.0F - tail;
  density = 0.39894228F * e;
}
template <>
__device__ __forceinline__ void Normal<__half>(float v, float& cdf, float& density) {
  NormalOfHalf(v, cdf, density);
}
template <>
__device__ __forceinline__ void Normal<__nv_bfloat16>(float v, float& cdf, float& density) {
  NormalOfHalf(v, cdf, density);
}

}  // namespace
}  // namespace m3l::cuda
