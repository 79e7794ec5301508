// Attention of many queries to few keys, as in Mix Transformers, for processors on which MKL takes
// a narrow path.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace m3l::cpu {

/** A tensor [batch, heads, tokens, channels] whose channels lie side by side; strides in elements.
 */
template <typename T>
struct Tokens {
  T* data;
  int64_t batch_stride;
  int64_t head_stride;
  /** From a token to the next. */
  int64_t stride;
};

struct AttentionSizes {
  int64_t batch;
  int64_t heads;
  int64_t queries;
  int64_t keys;
  int64_t channels;
};

/** More keys than this make the rows of scores leave the caches. */
constexpr int64_t kMostKeys = 2048;

/** Whether this processor has what `Attend` is written for; channels are even but for float. */
bool CanAttend(at::ScalarType type);

/**
 * out = softmax(scale · query·keyᵀ + bias) · value, and the logarithm of each row's sum of
 * exponentials. `bias` [batch, heads, keys] and `log_sums` [batch, heads, queries] may be null.
 * bfloat16: products of bfloat16, the softmax's shares too, sums in float.
 */
template <typename T>
void Attend(const AttentionSizes& sizes, const Tokens<const T>& query, const Tokens<const T>& key,
            const Tokens<const T>& value, const T* bias, float scale, const Tokens<T>& out,
            float* log_sums);

}  // namespace m3l::cpu
