#include "../mask_tokens.h"

#include <ATen/OpMathType.h>

#include <algorithm>
#include <vector>

#include "vector.h"

namespace m3l {
namespace {

at::Tensor MaskTokensCpu(const at::Tensor& tokens, const at::Tensor& token,
                         const at::Tensor& mask) {
  const int64_t share = CheckMask(tokens, mask);
  CheckMaskToken(tokens, token);
  const auto x = tokens.contiguous();
  const auto replacement = token.contiguous();
  const auto masked = mask.contiguous();
  auto y = at::empty(x.sizes(), x.options());
  const int64_t channels = x.size(2);
  AT_DISPATCH_FLOATING_TYPES_AND2(at::kBFloat16, at::kHalf, x.scalar_type(), "mask_tokens", [&] {
    const auto* from = x.const_data_ptr<scalar_t>();
    const auto* instead = replacement.const_data_ptr<scalar_t>();
    const auto* flags = masked.const_data_ptr<bool>();
    auto* to = y.mutable_data_ptr<scalar_t>();
    const int64_t grain = std::max<int64_t>(1, kGrain / std::max<int64_t>(1, channels));
    at::parallel_for(0, x.size(0) * x.size(1), grain, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const auto* chosen = flags[row / share] ? instead : from + row * channels;
        std::copy_n(chosen, channels, to + row * channels);
      }
    });
  });
  return y;
}

/** sum[c] += Σ of the masked ones of rows [begin, end). */
template <typename T, typename A>
M3L_VECTORISED void AddMasked(const T* __restrict gradient, const bool* __restrict flags,
                              int64_t share, int64_t begin, int64_t end, int64_t channels,
                              A* __restrict sum) {
  for (int64_t row = begin; row < end; ++row) {
    if (!flags[row / share]) {
      continue;
    }
    const T* __restrict from = gradient + row * channels;
#pragma omp simd
    for (int64_t c = 0; c < channels; ++c) {
      sum[c] += A(from[c]);
    }
  }
}

/** Float over a chunk of rows, double over the chunks, whose number the shape alone decides. */
constexpr int64_t kLeastChunk = 64;
constexpr int64_t kMostChunks = 1024;

template <typename T>
void SumMasked(const T* gradient, const bool* flags, int64_t share, int64_t rows, int64_t channels,
               T* result) {
  using compute_t = at::opmath_type<T>;
  const int64_t length = std::max(kLeastChunk, (rows + kMostChunks - 1) / kMostChunks);
  const int64_t chunks = (rows + length - 1) / length;
  std::vector<compute_t> partial(static_cast<std::size_t>(chunks * channels));
  const int64_t grain = std::max<int64_t>(1, kGrain / std::max<int64_t>(1, length * channels));
  at::parallel_for(0, chunks, grain, [&](int64_t begin, int64_t end) {
    for (int64_t chunk = begin; chunk < end; ++chunk) {
      AddMasked<T, compute_t>(gradient, flags, share, chunk * length,
                              std::min(rows, (chunk + 1) * length), channels,
                              partial.data() + chunk * channels);
    }
  });
  for (int64_t c = 0; c < channels; ++c) {
    double total = 0;
    for (int64_t chunk = 0; chunk < chunks; ++chunk) {
      total += partial[static_cast<std::size_t>(chunk * channels + c)];
    }
    result[c] = static_cast<T>(total);
  }
}

std::tuple<at::Tensor, at::Tensor> MaskTokensBackwardCpu(const at::Tensor& gradient_,
                                                         const at::Tensor& mask_,
                                                         std::array<bool, 2> needed) {
  const int64_t share = CheckMask(gradient_, mask_);
  const auto gradient = gradient_.contiguous();
  const auto mask = mask_.contiguous();
  const int64_t channels = gradient.size(2);
  const int64_t rows = gradient.size(0) * gradient.size(1);
  at::Tensor tokens;
  at::Tensor token;
  if (needed[0]) {
    tokens = at::empty(gradient.sizes(), gradient.options());
  }
  if (needed[1]) {
    token = at::empty({channels}, gradient.options());
  }
  AT_DISPATCH_FLOATING_TYPES_AND2(
      at::kBFloat16, at::kHalf, gradient.scalar_type(), "mask_tokens_backward", [&] {
        const auto* from = gradient.const_data_ptr<scalar_t>();
        const auto* flags = mask.const_data_ptr<bool>();
        if (needed[0]) {
          auto* to = tokens.mutable_data_ptr<scalar_t>();
          const int64_t grain = std::max<int64_t>(1, kGrain / std::max<int64_t>(1, channels));
          at::parallel_for(0, rows, grain, [&](int64_t begin, int64_t end) {
            for (int64_t row = begin; row < end; ++row) {
              if (flags[row / share]) {
                std::fill_n(to + row * channels, channels, scalar_t(0));
              } else {
                std::copy_n(from + row * channels, channels, to + row * channels);
              }
            }
          });
        }
        if (needed[1]) {
          SumMasked(from, flags, share, rows, channels, token.mutable_data_ptr<scalar_t>());
        }
      });
  return {tokens, token};
}

M3L_KERNELS(CPU, library) {
  library.impl("mask_tokens", MaskTokensCpu);
  library.impl("mask_tokens_backward", MaskTokensBackwardCpu);
}

}  // namespace
}  // namespace m3l
