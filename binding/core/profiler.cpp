// Which operators the time goes into: calls and times by name, the backward's included, and by the
// sizes of their tensors where asked for.
#include <ATen/record_function.h>

#include <chrono>
#include <map>
#include <mutex>
#include <sstream>

#include "call.h"

namespace m3l {

namespace {

using Clock = std::chrono::steady_clock;

struct OperatorTime {
  int64_t calls = 0;
  std::chrono::nanoseconds self{0};
  std::chrono::nanoseconds total{0};
};

/// An operator's name, and the sizes of its tensor arguments (empty where nobody asked for them).
using Key = std::pair<std::string, std::string>;

/// One call that is running on this thread.
struct Frame final : at::ObserverContext {
  std::string sizes;
  Frame* outer = nullptr;
  Clock::time_point start;
  std::chrono::nanoseconds inner{0};
};

thread_local Frame* running = nullptr;

// libtorch calls its observers of all threads alike, so that there is one profile in the process.
std::mutex lock;
std::map<Key, OperatorTime> times;
std::optional<at::CallbackHandle> callback;
const Environment* owner = nullptr;

void write_sizes(std::ostream& to, const c10::IValue& argument) {
  if (argument.isTensor()) {
    const at::Tensor& tensor = argument.toTensor();
    to << (to.tellp() > 0 ? " " : "");
    if (tensor.defined()) {
      to << tensor.sizes();
    } else {
      to << "none";
    }
  } else if (argument.isTensorList()) {
    for (const at::Tensor& tensor : argument.toTensorVector()) {
      write_sizes(to, tensor);
    }
  }
}

/// The sizes must be read before the call: it may resize, or take its arguments with it.
template <bool kSizes>
std::unique_ptr<at::ObserverContext> begin(const at::RecordFunction& function) {
  auto frame = std::make_unique<Frame>();
  if constexpr (kSizes) {
    std::ostringstream sizes;
    for (const c10::IValue& argument : function.inputs()) {
      write_sizes(sizes, argument);
    }
    frame->sizes = sizes.str();
  }
  frame->outer = running;
  running = frame.get();
  frame->start = Clock::now();
  return frame;
}

void end(const at::RecordFunction& function, at::ObserverContext* context) {
  const auto taken = Clock::now() - static_cast<Frame*>(context)->start;
  const Frame& frame = *static_cast<Frame*>(context);
  running = frame.outer;
  if (running != nullptr) {
    running->inner += taken;
  }
  const std::lock_guard<std::mutex> guard(lock);
  OperatorTime& time = times[{function.name(), frame.sizes}];
  time.calls += 1;
  time.self += taken - frame.inner;
  time.total += taken;
}

double milliseconds(std::chrono::nanoseconds time) {
  return std::chrono::duration<double, std::milli>(time).count();
}

void start_profile(const Call& call) {
  const std::lock_guard<std::mutex> guard(lock);
  if (callback.has_value()) {
    throw CoreError("M3L_PROFILE",
                    "a profile is being taken already, and there is one for the whole process; "
                    "end it first by calling what profile() returned");
  }
  times.clear();
  const bool sizes = call.boolean(0, "sizes");
  callback = at::addGlobalCallback(
      at::RecordFunctionCallback(sizes ? begin<true> : begin<false>, end)
          .needsInputs(sizes)
          .scopes({at::RecordScope::FUNCTION, at::RecordScope::BACKWARD_FUNCTION}));
  owner = &call.state();
}

Napi::Object row_of(Napi::Env env, const Key& key, const OperatorTime& time) {
  const Napi::Object row = Napi::Object::New(env);
  row.Set("name", key.first);
  row.Set("sizes", key.second);
  row.Set("calls", static_cast<double>(time.calls));
  row.Set("selfMs", milliseconds(time.self));
  row.Set("totalMs", milliseconds(time.total));
  return row;
}

void remove_callback() {
  if (callback.has_value()) {
    at::removeCallback(*callback);
    callback.reset();
  }
  owner = nullptr;
}

Napi::Value stop_profile(const Call& call) {
  const std::lock_guard<std::mutex> guard(lock);
  if (!callback.has_value() || owner != &call.state()) {
    throw CoreError("M3L_PROFILE", "this profile has ended already");
  }
  remove_callback();
  const Napi::Array rows = Napi::Array::New(call.env(), times.size());
  uint32_t index = 0;
  for (const auto& [key, time] : times) {
    rows.Set(index++, row_of(call.env(), key, time));
  }
  times.clear();
  return rows;
}

}  // namespace

Environment::~Environment() {
  const std::lock_guard<std::mutex> guard(lock);
  if (callback.has_value() && owner == this) {
    remove_callback();
  }
}

void export_profiler(Exports& exports) {
  exports.add<start_profile>("startProfile");
  exports.add<stop_profile>("stopProfile");
}

}  // namespace m3l
