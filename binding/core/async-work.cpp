#include "async-work.h"

#include <ATen/ThreadLocalState.h>

#include <exception>
#include <utility>

#include "errors.h"

namespace m3l {

namespace {

/// Deletes itself once it is done.
class AsyncWork final : public Napi::AsyncWorker {
 public:
  AsyncWork(Environment& state, std::string where, std::function<void()> work,
            std::function<Napi::Value()> finish)
      : Napi::AsyncWorker(state.env, "m3l"),
        state_(state),
        deferred_(state.env),
        where_(std::move(where)),
        work_(std::move(work)),
        finish_(std::move(finish)) {}

  [[nodiscard]] Napi::Promise promise() const { return deferred_.Promise(); }

 protected:
  void Execute() override {
    try {
      const at::ThreadLocalStateGuard as_there(modes_);
      work_();
    } catch (...) {
      fault_ = std::current_exception();
    }
  }

  void OnOK() override {
    try {
      if (fault_ != nullptr) {
        std::rethrow_exception(fault_);
      }
      deferred_.Resolve(finish_());
    } catch (...) {
      deferred_.Reject(error_to_js(state_, std::current_exception(), where_).Value());
    }
  }

 private:
  Environment& state_;
  Napi::Promise::Deferred deferred_;
  std::string where_;
  std::function<void()> work_;
  std::function<Napi::Value()> finish_;
  at::ThreadLocalState modes_;
  std::exception_ptr fault_;
};

}  // namespace

Napi::Promise run_async(Environment& state, std::string where, std::function<void()> work,
                        std::function<Napi::Value()> finish) {
  auto* begun = new AsyncWork(state, std::move(where), std::move(work), std::move(finish));
  const Napi::Promise promise = begun->promise();
  begun->Queue();
  return promise;
}

}  // namespace m3l
