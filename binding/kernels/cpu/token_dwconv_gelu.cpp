#include "../token_dwconv_gelu.h"

#include <ATen/OpMathType.h>

#include <algorithm>

#include "token_dwconv_gelu_tile.h"

namespace m3l {
namespace {

using token_dwconv_gelu::kBlock;
using token_dwconv_gelu::kTaps;
using token_dwconv_gelu::TapBlock;
using token_dwconv_gelu::Tile;

/** How [B, N, C] is cut: groups of samples, each in bands of rows, each in blocks of channels. */
struct Tiling {
  Tiling(const at::Tensor& x, int64_t grid_height, int64_t grid_width)
      : batch(x.size(0)),
        height(grid_height),
        width(grid_width),
        channels(x.size(2)),
        blocks((channels + kBlock - 1) / kBlock) {
    const int64_t threads = at::get_num_threads();
    // As few as keep the threads busy: each group has sums of its own, each band computes the rows
    // beyond its edges too.
    const int64_t wanted = threads == 1 ? 1 : 4 * threads;
    const auto parts = [wanted](int64_t others, int64_t most) {
      return std::max<int64_t>(
          1, std::min((wanted + others - 1) / std::max<int64_t>(1, others), most));
    };
    groups = parts(blocks, batch);
    bands = parts(groups * blocks, height / 8);
  }

  [[nodiscard]] int64_t Count() const { return batch == 0 ? 0 : groups * bands * blocks; }
  [[nodiscard]] int64_t Block(int64_t index) const { return index % blocks; }
  /** Calls `f` with the offset of each sample's part of tile `index`. */
  template <typename F>
  void ForSamples(int64_t index, const F& f) const {
    const int64_t group = index / (blocks * bands);
    for (int64_t b = group * batch / groups; b < (group + 1) * batch / groups; ++b) {
      f(b * height * width * channels + Block(index) * kBlock);
    }
  }
  [[nodiscard]] Tile At(int64_t index) const {
    const int64_t band = index / blocks % bands;
    return {height,
            width,
            channels,
            std::min(kBlock, channels - Block(index) * kBlock),
            band * height / bands,
            (band + 1) * height / bands};
  }
  [[nodiscard]] int64_t Grain() const {
    const int64_t elements = batch * height * width * kBlock / (groups * bands);
    return std::max<int64_t>(1, kGrain / std::max<int64_t>(1, elements));
  }

  int64_t batch;
  int64_t height;
  int64_t width;
  int64_t channels;
  int64_t blocks;
  int64_t groups;
  int64_t bands;
};

/** Rows for ForwardTile (3) or BackwardTile (6). Zeros: what lies past the width is never written.
 */
at::Tensor Scratch(const Tiling& tiling, int64_t rows, const at::Tensor& taps) {
  return at::zeros({rows * tiling.At(0).PaddedRow()}, taps.options());
}

at::Tensor TokenDwconvGeluCpu(const at::Tensor& tokens, const at::Tensor& weight,
                              const at::Tensor& bias, int64_t height, int64_t width) {
  token_dwconv_gelu::Check("token_dwconv_gelu", nullptr, tokens, weight, bias, height, width);
  const auto x = tokens.contiguous();
  auto y = at::empty_like(x);
  const auto taps = token_dwconv_gelu::Taps(tokens, weight, bias);
  const Tiling tiling(x, height, width);
  AT_DISPATCH_FLOATING_TYPES_AND2(
      at::kBFloat16, at::kHalf, x.scalar_type(), "token_dwconv_gelu", [&] {
        using A = at::opmath_type<scalar_t>;
        const auto* from = x.const_data_ptr<scalar_t>();
        auto* to = y.mutable_data_ptr<scalar_t>();
        at::parallel_for(0, tiling.Count(), tiling.Grain(), [&](int64_t begin, int64_t end) {
          auto scratch = Scratch(tiling, 3, taps);
          for (int64_t i = begin; i < end; ++i) {
            const Tile tile = tiling.At(i);
            const TapBlock<A> block(taps.const_data_ptr<A>() + tiling.Block(i) * kBlock, tile);
            tiling.ForSamples(i, [&](int64_t offset) {
              token_dwconv_gelu::ForwardTile<scalar_t, A>(from + offset, block, to + offset,
                                                          scratch.mutable_data_ptr<A>(), tile);
            });
          }
        });
      });
  return y;
}

/** Over groups and bands, in their order: [tiles, 10, kBlock] to [10, C]. */
at::Tensor SumTiles(const at::Tensor& totals, const Tiling& tiling) {
  return totals.view({-1, tiling.blocks, kTaps, kBlock})
      .sum(0)
      .transpose(0, 1)
      .reshape({kTaps, tiling.blocks * kBlock})
      .narrow(1, 0, tiling.channels);
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> TokenDwconvGeluBackwardCpu(
    const at::Tensor& grad, const at::Tensor& tokens, const at::Tensor& weight,
    const at::Tensor& bias, int64_t height, int64_t width) {
  token_dwconv_gelu::Check("token_dwconv_gelu_backward", &grad, tokens, weight, bias, height,
                           width);
  const auto x = tokens.contiguous();
  const auto g = grad.contiguous();
  auto grad_x = at::empty_like(x);
  if (x.numel() == 0) {
    return {grad_x, at::zeros_like(weight), at::zeros_like(bias)};
  }
  const auto taps = token_dwconv_gelu::Taps(tokens, weight, bias);
  const Tiling tiling(x, height, width);
  auto totals = at::zeros({tiling.Count(), kTaps, kBlock}, taps.options().dtype(at::kDouble));
  AT_DISPATCH_FLOATING_TYPES_AND2(
      at::kBFloat16, at::kHalf, x.scalar_type(), "token_dwconv_gelu_backward", [&] {
        using A = at::opmath_type<scalar_t>;
        const auto* from = x.const_data_ptr<scalar_t>();
        const auto* from_grad = g.const_data_ptr<scalar_t>();
        auto* to = grad_x.mutable_data_ptr<scalar_t>();
        at::parallel_for(0, tiling.Count(), tiling.Grain(), [&](int64_t begin, int64_t end) {
          auto scratch = Scratch(tiling, 6, taps);
          for (int64_t i = begin; i < end; ++i) {
            const Tile tile = tiling.At(i);
            const TapBlock<A> block(taps.const_data_ptr<A>() + tiling.Block(i) * kBlock, tile);
            auto* total = totals.mutable_data_ptr<double>() + i * kTaps * kBlock;
            tiling.ForSamples(i, [&](int64_t offset) {
              token_dwconv_gelu::BackwardTile<scalar_t, A>(
                  {from_grad + offset, from + offset, to + offset}, block, total,
                  scratch.mutable_data_ptr<A>(), tile);
            });
          }
        });
      });
  auto [grad_weight, grad_bias] =
      token_dwconv_gelu::FromTaps(SumTiles(totals, tiling), weight, bias);
  return {grad_x, grad_weight, grad_bias};
}

M3L_KERNELS(CPU, library) {
  library.impl("token_dwconv_gelu", TokenDwconvGeluCpu);
  library.impl("token_dwconv_gelu_backward", TokenDwconvGeluBackwardCpu);
}

}  // namespace
}  // namespace m3l
