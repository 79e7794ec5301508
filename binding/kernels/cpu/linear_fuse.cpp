#include "../linear_fuse.h"

#include <ATen/OpMathType.h>

#include "vector.h"

namespace m3l {
namespace {

/** One stretch of elements of all M streams, `stride` apart. */
template <typename T, typename A>
M3L_VECTORISED void FuseRange(const T* __restrict x, T* __restrict y, int64_t begin, int64_t end,
                              int64_t stride, int64_t modalities, A own, A other) {
  if (modalities == 2) {
    for (int64_t i = begin; i < end; ++i) {
      const A a = x[i];
      const A b = x[i + stride];
      y[i] = static_cast<T>(own * a + other * b);
      y[i + stride] = static_cast<T>(own * b + other * a);
    }
    return;
  }
  for (int64_t i = begin; i < end; ++i) {
    A sum = 0;
    for (int64_t m = 0; m < modalities; ++m) {
      sum += A(x[i + m * stride]);
    }
    for (int64_t m = 0; m < modalities; ++m) {
      const A mine = x[i + m * stride];
      y[i + m * stride] = static_cast<T>(own * mine + other * (sum - mine));
    }
  }
}

at::Tensor LinearFuseCpu(const at::Tensor& tokens, int64_t modalities, double ratio) {
  CheckLinearFuse(tokens, modalities);
  const auto x = tokens.contiguous();
  auto y = at::empty_like(x);
  const int64_t stride = x.numel() / modalities;
  const double other = (1 - ratio) / static_cast<double>(modalities - 1);
  AT_DISPATCH_FLOATING_TYPES_AND2(at::kBFloat16, at::kHalf, x.scalar_type(), "linear_fuse", [&] {
    using compute_t = at::opmath_type<scalar_t>;
    const auto* from = x.const_data_ptr<scalar_t>();
    auto* to = y.mutable_data_ptr<scalar_t>();
    at::parallel_for(0, stride, kGrain, [&](int64_t begin, int64_t end) {
      FuseRange<scalar_t, compute_t>(from, to, begin, end, stride, modalities,
                                     static_cast<compute_t>(ratio), static_cast<compute_t>(other));
    });
  });
  return y;
}

M3L_KERNELS(CPU, library) { library.impl("linear_fuse", LinearFuseCpu); }

}  // namespace
}  // namespace m3l
