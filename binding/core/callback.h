// A function of JavaScript's that autograd calls with tensors, on any thread.
#pragma once

#include <memory>
#include <vector>

#include "environment.h"

namespace m3l {

/// What an exception of JavaScript's is while it passes through autograd.
class JsError : public std::runtime_error {
 public:
  JsError(const std::string& message, std::shared_ptr<Napi::Error> error)
      : std::runtime_error(message), error_(std::move(error)) {}
  [[nodiscard]] const Napi::Error& error() const { return *error_; }

 private:
  std::shared_ptr<Napi::Error> error_;
};

/// The function is called with the number of an exchange: `exchangeInputs` gives it the tensors and
/// `exchangeResults` takes its own, both inside whatever scope it opens.
class Callback : public torch::CustomClassHolder {
 public:
  Callback(Environment& state, Napi::Function function);
  ~Callback() override;
  Callback(const Callback&) = delete;
  Callback& operator=(const Callback&) = delete;

  /// Lists of results, as `exchangeResults` was given them.
  std::vector<std::vector<at::Tensor>> operator()(const std::vector<at::Tensor>& inputs);

 private:
  Environment& state_;
  std::shared_ptr<JsThread> thread_;
  Napi::FunctionReference* function_;
};

}  // namespace m3l
