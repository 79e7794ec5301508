#include "fuse_residual_norm.h"

#include <ATen/OpMathType.h>

#include <algorithm>
#include <vector>

namespace m3l {
namespace {

template <typename T>
const T* PointerOrNull(const std::optional<at::Tensor>& tensor) {
  return tensor ? tensor->const_data_ptr<T>() : nullptr;
}

template <typename T>
T* MutablePointerOrNull(const at::Tensor& tensor) {
  return tensor.defined() ? tensor.mutable_data_ptr<T>() : nullptr;
}

std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor> ForwardCpu(
    const at::Tensor& residual, const std::optional<at::Tensor>& branch,
    const std::optional<at::Tensor>& scale, const at::Tensor& weight, const at::Tensor& bias,
    int64_t modalities, double ratio, double eps) {
  const auto t = PrepareNormForward(residual, branch, scale, weight, bias, modalities, ratio);
  const NormShape& shape = t.shape;
  const auto run = [&](auto residual_element, auto branch_element) {
    using residual_t = decltype(residual_element);
    using branch_t = decltype(branch_element);
    using compute_t = at::opmath_type<residual_t>;
    const cpu::ForwardRows<residual_t, branch_t, compute_t> rows{
        shape,
        t.residual.const_data_ptr<residual_t>(),
        PointerOrNull<branch_t>(t.branch),
        PointerOrNull<compute_t>(t.scale),
        t.weight.const_data_ptr<compute_t>(),
        t.bias.const_data_ptr<compute_t>(),
        MutablePointerOrNull<residual_t>(t.sum),
        t.normal.mutable_data_ptr<branch_t>(),
        t.mean.mutable_data_ptr<compute_t>(),
        t.rstd.mutable_data_ptr<compute_t>(),
        static_cast<compute_t>(eps)};
    const int64_t grain = std::max<int64_t>(1, kGrain / (modalities * shape.channels));
    at::parallel_for(0, shape.Positions(), grain, [&](int64_t begin, int64_t end) {
      std::vector<compute_t> scratch(static_cast<std::size_t>(2 * shape.channels));
      cpu::WithChannels<residual_t>(shape.channels, [&](auto channels) {
        cpu::Forward<channels()>(rows, begin, end, scratch.data());
      });
    });
  };
  WithNormTypes(residual.scalar_type(), t.normal.scalar_type(), run);
  return {t.sum, t.normal, t.mean, t.rstd};
}

/**
 * Sums of weights and biases are made in float over a chunk of positions, in double over the
 * chunks: their number depends on the shape alone, and so do the results.
 */
constexpr int64_t kLeastChunk = 32;
constexpr int64_t kMostChunks = 1024;

template <typename A>
at::Tensor AddChunks(const std::vector<A>& partial, int64_t chunks, int64_t size) {
  std::vector<double> total(static_cast<std::size_t>(size));
  for (int64_t chunk = 0; chunk < chunks; ++chunk) {
    const A* from = partial.data() + chunk * size;
    for (int64_t i = 0; i < size; ++i) {
      total[static_cast<std::size_t>(i)] += from[i];
    }
  }
  auto result = at::empty({size}, at::CppTypeToScalarType<A>::value);
  std::copy(total.begin(), total.end(), result.template mutable_data_ptr<A>());
  return result;
}

std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor> BackwardCpu(
    const std::optional<at::Tensor>& sum_gradient, const at::Tensor& normal_gradient,
    const at::Tensor& sum, const std::optional<at::Tensor>& scale, const at::Tensor& weight,
    const at::Tensor& mean, const at::Tensor& rstd, int64_t modalities, double ratio,
    std::array<bool, 3> needed) {
  const auto t = PrepareNormBackward(sum_gradient, normal_gradient, sum, scale, weight, mean, rstd,
                                     modalities, ratio, needed);
  const NormShape& shape = t.shape;
  at::Tensor weight_gradient;
  at::Tensor bias_gradient;
  const auto run = [&](auto residual_element, auto branch_element) {
    using residual_t = decltype(residual_element);
    using branch_t = decltype(branch_element);
    using compute_t = at::opmath_type<residual_t>;
    const cpu::BackwardRows<residual_t, branch_t, compute_t> rows{
        shape,
        PointerOrNull<residual_t>(t.sum_gradient),
        t.normal_gradient.const_data_ptr<branch_t>(),
        t.sum.const_data_ptr<residual_t>(),
        PointerOrNull<compute_t>(t.scale),
        t.weight.const_data_ptr<compute_t>(),
        t.mean.const_data_ptr<compute_t>(),
        t.rstd.const_data_ptr<compute_t>(),
        MutablePointerOrNull<residual_t>(t.residual_gradient),
        MutablePointerOrNull<branch_t>(t.branch_gradient)};
    const int64_t positions = shape.Positions();
    const int64_t length = std::max(kLeastChunk, (positions + kMostChunks - 1) / kMostChunks);
    const int64_t chunks = (positions + length - 1) / length;
    const int64_t affine_size = 2 * modalities * shape.channels;
    std::vector<compute_t> affine(needed[kAffine] ? static_cast<std::size_t>(chunks * affine_size)
                                                  : 0);
    const int64_t grain = std::max<int64_t>(1, kGrain / (length * modalities * shape.channels));
    at::parallel_for(0, chunks, grain, [&](int64_t begin, int64_t end) {
      std::vector<compute_t> scratch(static_cast<std::size_t>((modalities + 1) * shape.channels));
      for (int64_t chunk = begin; chunk < end; ++chunk) {
        cpu::WithChannels<residual_t>(shape.channels, [&](auto channels) {
          cpu::Backward<channels()>(rows, chunk * length, std::min(positions, (chunk + 1) * length),
                                    needed[kAffine] ? affine.data() + chunk * affine_size : nullptr,
                                    scratch.data());
        });
      }
    });
    if (needed[kAffine]) {
      const auto both = AddChunks(affine, chunks, affine_size)
                            .to(weight.scalar_type())
                            .view({modalities, 2, shape.channels});
      weight_gradient = both.select(1, 0).contiguous();
      bias_gradient = both.select(1, 1).contiguous();
    }
  };
  WithNormTypes(sum.scalar_type(), normal_gradient.scalar_type(), run);
  return {t.residual_gradient, t.branch_gradient, weight_gradient, bias_gradient};
}

M3L_KERNELS(CPU, library) {
  library.impl("fuse_residual_norm_forward", ForwardCpu);
  library.impl("fuse_residual_norm_backward", BackwardCpu);
}

}  // namespace
}  // namespace m3l
