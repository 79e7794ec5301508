#include "../upsample_ohem_cross_entropy.h"

#include <c10/util/irange.h>

#include <atomic>
#include <mutex>
#include <new>
#include <unordered_map>

#include "host.h"
#include "upsample_ohem_cross_entropy.cuh"

namespace m3l {
namespace {

void CheckLimits(const UpsampleLossSizes& sizes) {
  TORCH_CHECK(sizes.heads <= cuda::kMostHeads, "upsample_ohem_cross_entropy: ", sizes.heads,
              " heads, expected at most ", cuda::kMostHeads, " on CUDA");
  TORCH_CHECK(sizes.heads * sizes.batch <= 65535 && sizes.low_height <= 65535,
              "upsample_ohem_cross_entropy: ", sizes.heads, " heads of ", sizes.batch,
              " samples with ", sizes.low_height, " rows, expected at most 65535 heads × samples, ",
              "and as many rows");
  TORCH_CHECK(sizes.batch * sizes.height * sizes.width <= INT32_MAX,
              "upsample_ohem_cross_entropy: ", sizes.batch, " × ", sizes.height, " × ", sizes.width,
              " pixels, expected fewer than 2^31");
  TORCH_CHECK(sizes.low_height * sizes.low_width <= INT32_MAX,
              "upsample_ohem_cross_entropy: ", sizes.low_height, " × ", sizes.low_width,
              " logits of a class, expected fewer than 2^31");
}

/** One for each device, mapped into its memory, for ever: a captured graph writes to it again. */
cuda::LabelFault& FaultOf(c10::DeviceIndex device) {
  static std::mutex mutex;
  static std::unordered_map<c10::DeviceIndex, cuda::LabelFault*> faults;
  const std::lock_guard<std::mutex> lock(mutex);
  cuda::LabelFault*& fault = faults[device];
  if (fault == nullptr) {
    void* memory = nullptr;
    C10_CUDA_CHECK(cudaHostAlloc(&memory, sizeof(cuda::LabelFault),
                                 cudaHostAllocMapped | cudaHostAllocPortable));
    fault = new (memory) cuda::LabelFault{};
  }
  return *fault;
}

/** Asks the device nothing: throws what its kernels have written by now, once. */
void ThrowIfWritten(cuda::LabelFault& fault) {
  std::atomic_ref<int> seen(fault.seen);
  if (seen.load(std::memory_order_acquire) == 0) {
    return;
  }
  const cuda::LabelFault found = fault;
  seen.store(0);
  TORCH_CHECK_INDEX(false, "upsample_ohem_cross_entropy: ", found.pseudo != 0 ? "pseudo" : "labels",
                    " hold ", found.label, ", expected 0 to ", found.classes - 1, ", or ",
                    found.ignore, " for void");
}

void CheckCuda(const at::Tensor& loss) { ThrowIfWritten(FaultOf(loss.device().index())); }

std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor> UpsampleOhemCrossEntropyCuda(
    at::TensorList heads, const std::optional<at::Tensor>& labels,
    const std::optional<at::Tensor>& pseudo, double threshold, int64_t min_kept,
    int64_t ignore_index, at::IntArrayRef differentiable) {
  const auto sizes = CheckUpsampleLoss(heads, labels, pseudo, differentiable);
  CheckLimits(sizes);
  const c10::cuda::CUDAGuard guard(heads[0].device());
  auto& fault = FaultOf(heads[0].device().index());
  ThrowIfWritten(fault);
  const auto logits = UpsampleLossLogits(heads);
  const auto options = logits[0].options();
  const auto truth = labels && labels->defined() ? labels->contiguous() : at::Tensor();
  const auto taught = pseudo && pseudo->defined() ? pseudo->contiguous() : at::Tensor();
  const auto differentiated = static_cast<int64_t>(differentiable.size());
  const auto derivatives_of = [&](int64_t samples) {
    return at::empty({differentiated, samples, sizes.classes, sizes.low_height, sizes.low_width},
                     options);
  };
  const int64_t samples = sizes.pseudo ? sizes.batch : sizes.labelled;
  const int64_t pixels = sizes.height * sizes.width;
  auto loss = at::empty({}, options);
  auto pseudo_loss = at::empty({}, options);
  auto derivatives = derivatives_of(sizes.labelled);
  auto pseudo_derivatives = derivatives_of(sizes.pseudo ? sizes.batch : 0);
  const auto log_sums = at::empty({sizes.heads * samples * pixels}, options);
  const auto kept = at::empty({sizes.heads * sizes.labelled * pixels}, options);
  AT_DISPATCH_FLOATING_TYPES(logits[0].scalar_type(), "upsample_ohem_cross_entropy", [&] {
    cuda::UpsampleLoss<scalar_t> work{};
    for (const auto i : c10::irange(logits.size())) {
      work.logits[i] = logits[i].const_data_ptr<scalar_t>();
    }
    for (const auto i : c10::irange(differentiable.size())) {
      work.differentiable[i] = static_cast<int>(differentiable[i]);
    }
    work.heads = static_cast<int>(sizes.heads);
    work.differentiated = static_cast<int>(differentiated);
    work.samples = static_cast<int>(samples);
    work.labelled = static_cast<int>(sizes.labelled);
    work.classes = static_cast<int>(sizes.classes);
    work.low_height = static_cast<int>(sizes.low_height);
    work.low_width = static_cast<int>(sizes.low_width);
    work.height = static_cast<int>(sizes.height);
    work.width = static_cast<int>(sizes.width);
    work.labels = truth.defined() ? truth.const_data_ptr<int64_t>() : nullptr;
    work.pseudo = taught.defined() ? taught.const_data_ptr<int64_t>() : nullptr;
    work.ignore = ignore_index;
    work.threshold = static_cast<scalar_t>(threshold);
    work.min_kept = min_kept;
    work.log_sums = log_sums.mutable_data_ptr<scalar_t>();
    work.kept = kept.mutable_data_ptr<scalar_t>();
    const auto sums = at::zeros({cuda::UpsampleLossScratch(work)}, options.dtype(at::kByte));
    work.sums = sums.mutable_data_ptr();
    work.fault = &fault;
    work.loss = loss.mutable_data_ptr<scalar_t>();
    work.pseudo_loss = pseudo_loss.mutable_data_ptr<scalar_t>();
    work.derivatives = derivatives.mutable_data_ptr<scalar_t>();
    work.pseudo_derivatives = pseudo_derivatives.mutable_data_ptr<scalar_t>();
    cuda::LaunchUpsampleLoss(work, c10::cuda::getCurrentCUDAStream());
  });
  C10_CUDA_KERNEL_LAUNCH_CHECK();
  ThrowIfWritten(fault);
  return {loss, pseudo_loss, derivatives, pseudo_derivatives};
}

M3L_CUDA_KERNELS(library) {
  library.impl("upsample_ohem_cross_entropy_forward", UpsampleOhemCrossEntropyCuda);
  library.impl("upsample_ohem_cross_entropy_check", CheckCuda);
}

}  // namespace
}  // namespace m3l
