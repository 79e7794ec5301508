// Tensors on their way from one thread's JavaScript to another's.
#include <memory>
#include <mutex>
#include <unordered_map>

#include "call.h"

namespace m3l {

namespace {

/// Of all threads. Holds tensors alone, nothing of JavaScript's.
class UnderWay {
 public:
  double add(at::Tensor tensor) {
    const std::lock_guard lock(mutex_);
    tensors_.emplace(++last_, std::move(tensor));
    return static_cast<double>(last_);
  }

  at::Tensor take(double number) {
    const std::lock_guard lock(mutex_);
    auto taken = tensors_.extract(static_cast<uint64_t>(number));
    return taken.empty() ? at::Tensor() : std::move(taken.mapped());
  }

  size_t count() {
    const std::lock_guard lock(mutex_);
    return tensors_.size();
  }

 private:
  std::mutex mutex_;
  uint64_t last_ = 0;
  std::unordered_map<uint64_t, at::Tensor> tensors_;
};

/// Never destroyed: where the process ends, memory of a device may be gone before it.
UnderWay& under_way() {
  static auto* const tensors = new UnderWay();
  return *tensors;
}

double share(const Call& call) { return under_way().add(call.tensor(0).detach()); }

at::Tensor receive(const Call& call) {
  at::Tensor tensor = under_way().take(call.number(0, "number"));
  if (!tensor.defined()) {
    throw CoreError("M3L_SHARED",
                    "torch.receive: found a tensor that is not under way, expected what share() "
                    "gave, once: it was received already, or by another copy of m3l shared");
  }
  return tensor;
}

int64_t shared_count(const Call& /*call*/) { return static_cast<int64_t>(under_way().count()); }

}  // namespace

void export_sharing(Exports& exports) {
  exports.add<share>("share");
  exports.add<receive>("receive");
  exports.add<shared_count>("sharedCount");
}

}  // namespace m3l
