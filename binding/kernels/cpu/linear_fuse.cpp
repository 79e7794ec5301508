#include "../linear_fuse.h"

#include "vector.h"

namespace m3l {
namespace {

/** One stretch of elements of all M streams, `stride` apart. */
template <typename T>
M3L_VECTORISED void FuseRange(const T* __restrict x, T* __restrict y, int64_t begin, int64_t end,
                              int64_t stride, int64_t modalities, T own, T other) {
  if (modalities == 2) {
    for (int64_t i = begin; i < end; ++i) {
      const T a = x[i];
      const T b = x[i + stride];
      y[i] = own * a + other * b;
      y[i + stride] = own * b + other * a;
    }
    return;
  }
  for (int64_t i = begin; i < end; ++i) {
    T sum = 0;
    for (int64_t m = 0; m < modalities; ++m) {
      sum += x[i + m * stride];
    }
    for (int64_t m = 0; m < modalities; ++m) {
      const T mine = x[i + m * stride];
      y[i + m * stride] = own * mine + other * (sum - mine);
    }
  }
}

at::Tensor LinearFuseCpu(const at::Tensor& tokens, int64_t modalities, double ratio) {
  TORCH_CHECK(modalities >= 2, "linear_fuse: ", modalities, " modalities, expected at least 2");
  TORCH_CHECK(tokens.dim() >= 1 && tokens.size(0) % modalities == 0, "linear_fuse: tokens are ",
              tokens.sizes(), ", expected [M·B, N, C] with M = ", modalities);
  const auto x = tokens.contiguous();
  auto y = at::empty_like(x);
  const int64_t stride = x.numel() / modalities;
  const double other = (1 - ratio) / static_cast<double>(modalities - 1);
  AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "linear_fuse", [&] {
    const auto* from = x.const_data_ptr<scalar_t>();
    auto* to = y.mutable_data_ptr<scalar_t>();
    at::parallel_for(0, stride, kGrain, [&](int64_t begin, int64_t end) {
      FuseRange<scalar_t>(from, to, begin, end, stride, modalities, static_cast<scalar_t>(ratio),
                          static_cast<scalar_t>(other));
    });
  });
  return y;
}

TORCH_LIBRARY_IMPL(m3l, CPU, library) { library.impl("linear_fuse", LinearFuseCpu); }

}  // namespace
}  // namespace m3l
