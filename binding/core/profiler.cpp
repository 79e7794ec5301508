// Which operators the time goes into: calls and times by name, the backward's included.
#include <ATen/record_function.h>

#include <chrono>
#include <map>
#include <mutex>

#include "call.h"

namespace m3l {

namespace {

using Clock = std::chrono::steady_clock;

struct OperatorTime {
  int64_t calls = 0;
  std::chrono::nanoseconds self{0};
  std::chrono::nanoseconds total{0};
};

/// One call that is running on this thread.
struct Frame final : at::ObserverContext {
  Frame* outer = nullptr;
  Clock::time_point start;
  std::chrono::nanoseconds inner{0};
};

thread_local Frame* running = nullptr;

// libtorch calls its observers of all threads alike, so that there is one profile in the process.
std::mutex lock;
std::map<std::string, OperatorTime> times;
std::optional<at::CallbackHandle> callback;
const Environment* owner = nullptr;

std::unique_ptr<at::ObserverContext> begin(const at::RecordFunction& /*function*/) {
  auto frame = std::make_unique<Frame>();
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
  OperatorTime& time = times[function.name()];
  time.calls += 1;
  time.self += taken - frame.inner;
  time.total += taken;
}

double milliseconds(std::chrono::nanoseconds time) {
  return std::chrono::duration<double, std::milli>(time).count();
}

napi_value start_profile(Call& call) {
  const std::lock_guard<std::mutex> guard(lock);
  if (callback.has_value()) {
    throw CoreError("M3L_PROFILE",
                    "a profile is being taken already, and there is one for the whole process; "
                    "end it first by calling what profile() returned");
  }
  times.clear();
  callback = at::addGlobalCallback(
      at::RecordFunctionCallback(begin, end)
          .scopes({at::RecordScope::FUNCTION, at::RecordScope::BACKWARD_FUNCTION}));
  owner = &call.state();
  return undefined(call.env());
}

napi_value row_of(napi_env env, const std::string& name, const OperatorTime& time) {
  napi_value row = nullptr;
  check(env, napi_create_object(env, &row), "profile");
  const auto set = [&](const char* key, napi_value value) {
    check(env, napi_set_named_property(env, row, key, value), key);
  };
  set("name", to_js(env, name));
  set("calls", integer_to_js(env, time.calls));
  set("selfMs", to_js(env, milliseconds(time.self)));
  set("totalMs", to_js(env, milliseconds(time.total)));
  return row;
}

void remove_callback() {
  if (callback.has_value()) {
    at::removeCallback(*callback);
    callback.reset();
  }
  owner = nullptr;
}

napi_value stop_profile(Call& call) {
  const std::lock_guard<std::mutex> guard(lock);
  if (!callback.has_value() || owner != &call.state()) {
    throw CoreError("M3L_PROFILE", "this profile has ended already");
  }
  remove_callback();
  napi_value rows = nullptr;
  check(call.env(), napi_create_array_with_length(call.env(), times.size(), &rows), "profile");
  uint32_t index = 0;
  for (const auto& [name, time] : times) {
    check(call.env(), napi_set_element(call.env(), rows, index++, row_of(call.env(), name, time)),
          "profile");
  }
  times.clear();
  return rows;
}

}  // namespace

void end_profile_of(const Environment* state) {
  const std::lock_guard<std::mutex> guard(lock);
  if (callback.has_value() && owner == state) {
    remove_callback();
  }
}

Exports profiler_exports() {
  return {{"startProfile", entry<start_profile>}, {"stopProfile", entry<stop_profile>}};
}

}  // namespace m3l
