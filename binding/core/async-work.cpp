#include "async-work.h"

#include <exception>
#include <utility>

#include "devices.h"
#include "memory-retry.h"

namespace m3l {

namespace {

/// Deletes itself once it is done.
class AsyncWork final : public Napi::AsyncWorker {
 public:
  AsyncWork(Environment& state, std::string where, std::function<void()> work,
            std::function<Napi::Value()> finish, Retry retry)
      : Napi::AsyncWorker(state.env, "m3l"),
        state_(state),
        deferred_(state.env),
        where_(std::move(where)),
        work_(std::move(work)),
        finish_(std::move(finish)),
        retry_(retry) {}

  [[nodiscard]] Napi::Promise promise() const { return deferred_.Promise(); }

 protected:
  void Execute() override {
    try {
      const ThreadState::Guard as_there(here_);
      work_();
    } catch (...) {
      fault_ = std::current_exception();
    }
  }

  void OnOK() override {
    try {
      if (fault_ != nullptr && retry_ == Retry::kOnce && is_out_of_memory(fault_)) {
        free_unused(state_);
        (new AsyncWork(*this, Retry::kNever))->Queue();
        return;
      }
      if (fault_ != nullptr) {
        std::rethrow_exception(fault_);
      }
      deferred_.Resolve(finish_ ? finish_() : Env().Undefined());
    } catch (...) {
      deferred_.Reject(error_to_js(state_, std::current_exception(), where_).Value());
    }
  }

 private:
  /// Another attempt at the same.
  AsyncWork(const AsyncWork& failed, Retry retry)
      : Napi::AsyncWorker(failed.state_.env, "m3l"),
        state_(failed.state_),
        deferred_(failed.deferred_),
        where_(failed.where_),
        work_(failed.work_),
        finish_(failed.finish_),
        retry_(retry),
        here_(failed.here_) {}

  Environment& state_;
  Napi::Promise::Deferred deferred_;
  std::string where_;
  std::function<void()> work_;
  std::function<Napi::Value()> finish_;
  Retry retry_;
  ThreadState here_;
  std::exception_ptr fault_;
};

}  // namespace

Napi::Promise run_async(Environment& state, std::string where, std::function<void()> work,
                        std::function<Napi::Value()> finish, Retry retry) {
  auto* begun = new AsyncWork(state, std::move(where), std::move(work), std::move(finish), retry);
  const Napi::Promise promise = begun->promise();
  begun->Queue();
  return promise;
}

}  // namespace m3l
