// What SegFormer's head does with the four stages, in one pass over the map of the first.
#include "upsample_sum.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/threshold_backward.h>
#include <ATen/ops/upsample_bilinear2d.h>
#include <ATen/ops/upsample_bilinear2d_backward.h>

#include <vector>

#include "grid.h"

namespace m3l {

void CheckUpsampleSum(const at::Tensor& base, at::TensorList maps, at::IntArrayRef sizes,
                      int64_t height, int64_t width) {
  TORCH_CHECK(at::isFloatingType(base.scalar_type()), "upsample_sum: base is ", base.scalar_type(),
              ", expected a floating-point type");
  TORCH_CHECK(sizes.size() == 2 * maps.size(), "upsample_sum: ", sizes.size(), " sizes for ",
              maps.size(), " maps, expected height and width of each");
  const auto check = [&base](const char* name, const at::Tensor& map, int64_t rows,
                             int64_t columns) {
    TORCH_CHECK(rows >= 1 && columns >= 1, "upsample_sum: the grid of ", name, " is ", rows, " × ",
                columns, ", expected at least 1 × 1");
    TORCH_CHECK(
        OnGrid(map, rows, columns) && map.size(0) == base.size(0) && map.size(2) == base.size(2),
        "upsample_sum: ", name, " is ", map.sizes(), ", expected ", TokensOnGrid(rows, columns),
        ", with B and C of base ", base.sizes());
    TORCH_CHECK(map.scalar_type() == base.scalar_type() && map.device() == base.device(),
                "upsample_sum: ", name, " is ", map.scalar_type(), " on ", map.device(),
                ", expected ", base.scalar_type(), " on ", base.device(), " as base");
  };
  TORCH_CHECK(base.dim() == 3, "upsample_sum: base is ", base.sizes(), ", expected [B, N, C]");
  check("base", base, height, width);
  for (size_t i = 0; i < maps.size(); ++i) {
    check("a map", maps[i], sizes[2 * i], sizes[2 * i + 1]);
  }
}

void CheckUpsampleSumBackward(const at::Tensor& gradient, int64_t height, int64_t width,
                              at::IntArrayRef sizes) {
  TORCH_CHECK(OnGrid(gradient, height, width) && at::isFloatingType(gradient.scalar_type()),
              "upsample_sum_backward: the gradient is ", gradient.scalar_type(), " ",
              gradient.sizes(), ", expected ", TokensOnGrid(height, width),
              " of a floating-point type");
  TORCH_CHECK(sizes.size() % 2 == 0, "upsample_sum_backward: ", sizes.size(),
              " sizes, expected height and width of each map");
  for (size_t i = 0; i < sizes.size(); i += 2) {
    int64_t cells = 0;
    TORCH_CHECK(
        sizes[i] >= 1 && sizes[i + 1] >= 1 && !c10::mul_overflows(sizes[i], sizes[i + 1], &cells),
        "upsample_sum_backward: the grid of a map is ", sizes[i], " × ", sizes[i + 1],
        ", expected at least 1 × 1, and fewer than 2^63 positions");
  }
}

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

M3L_OPERATORS(library) {
  library.def(
      "upsample_sum(Tensor base, Tensor[] maps, int[] sizes, int height, int width, bool relu) "
      "-> Tensor");
  library.def(
      "upsample_sum_backward(Tensor gradient, int height, int width, int[] sizes) -> Tensor[]");
}

at::Tensor AsImage(const at::Tensor& tokens, int64_t height, int64_t width) {
  return tokens.unflatten(1, {height, width}).permute({0, 3, 1, 2});
}

at::Tensor AsTokens(const at::Tensor& image) { return image.permute({0, 2, 3, 1}).flatten(1, 2); }

/** By libtorch's own operators, on the devices that have no kernel for it. */
at::Tensor Composed(const at::Tensor& base, at::TensorList maps, at::IntArrayRef sizes,
                    int64_t height, int64_t width, bool relu) {
  CheckUpsampleSum(base, maps, sizes, height, width);
  auto sum = base.clone();
  if (sum.numel() == 0) {
    return sum;  // a grid of nothing may be refused
  }
  for (size_t i = 0; i < maps.size(); ++i) {
    const auto image = AsImage(maps[i], sizes[2 * i], sizes[2 * i + 1]);
    sum.add_(AsTokens(at::upsample_bilinear2d(image, {height, width}, false)));
  }
  return relu ? sum.relu_() : sum;
}

std::vector<at::Tensor> ComposedBackward(const at::Tensor& gradient, int64_t height, int64_t width,
                                         at::IntArrayRef sizes) {
  CheckUpsampleSumBackward(gradient, height, width, sizes);
  const int64_t samples = gradient.size(0);
  const int64_t channels = gradient.size(2);
  std::vector<at::Tensor> found;
  for (size_t i = 0; i < sizes.size(); i += 2) {
    const int64_t rows = sizes[i];
    const int64_t columns = sizes[i + 1];
    if (gradient.numel() == 0) {
      found.push_back(at::zeros({samples, rows * columns, channels}, gradient.options()));
    } else {
      found.push_back(AsTokens(
          at::upsample_bilinear2d_backward(AsImage(gradient, height, width), {height, width},
                                           {samples, channels, rows, columns}, false)));
    }
  }
  return found;
}

struct UpsampleSumFunction : torch::autograd::Function<UpsampleSumFunction> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& base, at::TensorList maps,
                            at::IntArrayRef sizes, int64_t height, int64_t width, bool relu) {
    static const auto op = c10::Dispatcher::singleton()
                               .findSchemaOrThrow("m3l::upsample_sum", "")
                               .typed<UpsampleSum>();
    const at::AutoDispatchBelowADInplaceOrView below;
    auto result = op.call(base, maps, sizes, height, width, relu);
    context->save_for_backward({relu ? result : at::Tensor()});
    context->saved_data["sizes"] = sizes.vec();
    context->saved_data["height"] = height;
    context->saved_data["width"] = width;
    return result;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    // A second derivative would silently be missing.
    TORCH_CHECK(!at::GradMode::is_enabled(),
                "upsample_sum: its backward cannot be differentiated (createGraph)");
    const auto result = context->get_saved_variables()[0];
    const auto sizes = context->saved_data["sizes"].toIntVector();
    const auto height = context->saved_data["height"].toInt();
    const auto width = context->saved_data["width"].toInt();
    const auto gradient =
        result.defined() ? at::threshold_backward(gradients[0], result, 0) : gradients[0];
    static const auto op = c10::Dispatcher::singleton()
                               .findSchemaOrThrow("m3l::upsample_sum_backward", "")
                               .typed<UpsampleSumBackward>();
    const at::AutoDispatchBelowADInplaceOrView below;
    std::vector<int64_t> needed;
    for (size_t i = 0; 2 * i < sizes.size(); ++i) {
      if (context->needs_input_grad(1 + i)) {
        needed.insert(needed.end(), {sizes[2 * i], sizes[2 * i + 1]});
      }
    }
    const auto of_maps = op.call(gradient, height, width, needed);
    // Of base, then of each map; sizes, height, width and relu have none.
    variable_list found = {gradient};
    auto next = of_maps.begin();
    for (size_t i = 0; 2 * i < sizes.size(); ++i) {
      found.push_back(context->needs_input_grad(1 + i) ? *next++ : at::Tensor());
    }
    found.resize(found.size() + 4);
    return found;
  }
};

at::Tensor UpsampleSumAutograd(const at::Tensor& base, at::TensorList maps, at::IntArrayRef sizes,
                               int64_t height, int64_t width, bool relu) {
  return UpsampleSumFunction::apply(base, maps, sizes, height, width, relu);
}

M3L_KERNELS(Autograd, library) { library.impl("upsample_sum", UpsampleSumAutograd); }

M3L_KERNELS(CompositeExplicitAutograd, library) {
  library.impl("upsample_sum", Composed);
  library.impl("upsample_sum_backward", ComposedBackward);
}

}  // namespace
}  // namespace m3l
