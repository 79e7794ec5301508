#include "callback.h"

#include <utility>

#include "errors.h"

namespace m3l {

namespace {

/// Known by its number while it lasts.
class OpenExchange {
 public:
  OpenExchange(Environment& state, const std::vector<at::Tensor>& inputs)
      : state_(state), number_(state.next_exchange++), exchange_{inputs, {}, false} {
    state_.exchanges.emplace(number_, &exchange_);
  }
  ~OpenExchange() { state_.exchanges.erase(number_); }
  OpenExchange(const OpenExchange&) = delete;
  OpenExchange& operator=(const OpenExchange&) = delete;

  [[nodiscard]] uint32_t number() const { return number_; }
  Exchange& operator*() { return exchange_; }

 private:
  Environment& state_;
  uint32_t number_;
  Exchange exchange_;
};

}  // namespace

Callback::Callback(Environment& state, Napi::Function function)
    : state_(state),
      thread_(state.js_thread),
      function_(new Napi::FunctionReference(Napi::Persistent(function))) {
  thread_->callback_made();
}

Callback::~Callback() {
  thread_->callback_gone();
  thread_->drop(function_);
}

std::vector<std::vector<at::Tensor>> Callback::operator()(const std::vector<at::Tensor>& inputs) {
  std::vector<std::vector<at::Tensor>> results;
  thread_->run([&] {
    const Napi::HandleScope scope(thread_->env());
    OpenExchange exchange(state_, inputs);
    try {
      function_->Call({Napi::Number::New(thread_->env(), exchange.number())});
    } catch (const Napi::Error& error) {
      const auto thread = thread_;
      throw JsError(error.Message(), std::shared_ptr<Napi::Error>(
                                         new Napi::Error(error),
                                         [thread](Napi::Error* gone) { thread->drop(gone); }));
    }
    if (!(*exchange).answered) {
      throw CoreError("M3L_ENDED", "a hook or a custom function was ended before it was done");
    }
    results = std::move((*exchange).results);
  });
  return results;
}

}  // namespace m3l
