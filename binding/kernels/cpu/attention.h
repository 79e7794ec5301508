// Attention of many queries to few keys, as in Mix Transformers, for processors on which MKL takes
// a narrow path.
#pragma once

#include <cstdint>

namespace m3l::cpu {

/** A tensor [batch, heads, tokens, channels] whose channels lie side by side: strides in elements.
 */
struct HeadTokens {
  std::int64_t batch;
  std::int64_t head;
  std::int64_t token;
};

struct AttentionSizes {
  std::int64_t batch;
  std::int64_t heads;
  std::int64_t queries;
  std::int64_t keys;
  std::int64_t channels;
};

/** More keys than this make the rows of scores leave the caches. */
constexpr std::int64_t kMostKeys = 2048;

/** Whether this processor has what `Attend` is written for. */
bool CanAttend();

/** Elements of `panels`. */
std::int64_t AttentionPanels(const AttentionSizes& sizes);

/**
 * out = softmax(scale · query·keyᵀ + bias) · value, and the logarithm of each row's sum of
 * exponentials. `bias` [batch, heads, keys] may be null; `out` lies as `out_strides` says;
 * `log_sums` [batch, heads, queries] may be null.
 */
void Attend(const AttentionSizes& sizes, const float* query, const HeadTokens& query_strides,
            const float* key, const HeadTokens& key_strides, const float* value,
            const HeadTokens& value_strides, const float* bias, float scale, float* panels,
            float* out, const HeadTokens& out_strides, float* log_sums);

}  // namespace m3l::cpu
