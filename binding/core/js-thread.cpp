#include "js-thread.h"

#include <cstdlib>
#include <utility>

#include "devices.h"
#include "errors.h"
#include "torch.h"

namespace m3l {

namespace {

/// Backwards of the CPU stay on the thread that calls; those of a device have threads of their own.
bool always_on_helper() {
  static const bool asked = std::getenv("M3L_BACKWARD_THREAD") != nullptr;
  return asked;
}

}  // namespace

void JsThread::run(const std::function<void()>& work) {
  if (is_here()) {
    work();
    return;
  }
  const auto state = std::make_shared<ThreadState>();
  Task task{&work, [state](const std::function<void()>& inner) {
              const ThreadState::Guard as_there(*state);
              inner();
            }};
  std::unique_lock lock(mutex_);
  if (ended_) {
    throw CoreError("M3L_ENDED", "a hook or a custom function belongs to a worker that has ended");
  }
  waiting_.push_back(&task);
  changed_.notify_all();
  wake();
  while (true) {
    changed_.wait(lock, [&] { return task.done || task.errand != nullptr; });
    if (task.done) {
      break;
    }
    const auto* errand = task.errand;
    lock.unlock();
    try {
      (*errand)();
    } catch (...) {
      task.errand_fault = std::current_exception();
    }
    lock.lock();
    task.errand = nullptr;
    changed_.notify_all();
  }
  if (task.fault != nullptr) {
    std::rethrow_exception(task.fault);
  }
}

void JsThread::run_backward(const std::function<void()>& work) {
  if (!doing_.empty()) {
    // Autograd then knows a backward inside a backward, and does not wait for its own thread.
    send_back(*doing_.back(), work);
  } else if (callbacks_ > 0 && (at::hasCUDA() || always_on_helper())) {
    run_on_helper(work);
  } else {
    work();
  }
}

void JsThread::run_on_helper(const std::function<void()>& work) {
  const ThreadState state;
  std::exception_ptr fault;
  bool done = false;
  std::thread helper([&] {
    try {
      const ThreadState::Guard as_there(state);
      work();
    } catch (...) {
      fault = std::current_exception();
    }
    const std::lock_guard lock(mutex_);
    done = true;
    changed_.notify_all();
  });
  serve([&] { return done; });
  helper.join();
  if (fault != nullptr) {
    std::rethrow_exception(fault);
  }
}

void JsThread::send_back(Task& task, const std::function<void()>& work) {
  const ThreadState state;
  const std::function<void()> errand = [&] {
    const ThreadState::Guard as_there(state);
    work();
  };
  {
    const std::lock_guard lock(mutex_);
    task.errand = &errand;
    changed_.notify_all();
  }
  serve([&] { return task.errand == nullptr; });
  if (task.errand_fault != nullptr) {
    std::rethrow_exception(std::exchange(task.errand_fault, nullptr));
  }
}

void JsThread::serve(const std::function<bool()>& done) {
  std::unique_lock lock(mutex_);
  while (true) {
    for (const auto& remove : std::exchange(dropped_, {})) {
      remove(false);
    }
    if (!waiting_.empty()) {
      Task& task = *waiting_.front();
      waiting_.pop_front();
      serve_one(lock, task);
    } else if (done()) {
      return;
    } else {
      changed_.wait(lock);
    }
  }
}

void JsThread::serve_one(std::unique_lock<std::mutex>& lock, Task& task) {
  lock.unlock();
  doing_.push_back(&task);
  try {
    task.as_there(*task.work);
  } catch (...) {
    task.fault = std::current_exception();
  }
  doing_.pop_back();
  lock.lock();
  task.done = true;
  changed_.notify_all();
}

void JsThread::drop_by(std::function<void(bool ended)> remove) {
  std::unique_lock lock(mutex_);
  if (ended_ || is_here()) {
    const bool ended = ended_;
    lock.unlock();
    remove(ended);
    return;
  }
  dropped_.push_back(std::move(remove));
  wake();
}

void JsThread::callback_made() {
  ++callbacks_;
  if (waker_ != nullptr) {
    return;
  }
  // Not a function of JavaScript's: it is to serve those who wait also while a worker is being
  // ended, which waits for them in turn.
  const auto serve_waiting = [](napi_env env, napi_value /*function*/, void* context,
                                void* /*data*/) {
    JsThread& self = **static_cast<std::shared_ptr<JsThread>*>(context);
    if (env == nullptr) {
      self.end();
    } else {
      self.serve([] { return true; });
    }
  };
  const auto ended = [](napi_env /*env*/, void* /*data*/, void* context) {
    auto* self = static_cast<std::shared_ptr<JsThread>*>(context);
    (*self)->end();
    delete self;
  };
  auto* context = new std::shared_ptr<JsThread>(shared_from_this());
  napi_create_threadsafe_function(env_, nullptr, nullptr, Napi::String::New(env_, "m3l"),
                                  /*max_queue_size=*/0, /*initial_thread_count=*/1, nullptr, ended,
                                  context, serve_waiting, &waker_);
  // A hook that nobody calls does not keep the process.
  napi_unref_threadsafe_function(env_, waker_);
}

void JsThread::wake() { napi_call_threadsafe_function(waker_, nullptr, napi_tsfn_nonblocking); }

void JsThread::end() {
  const std::lock_guard lock(mutex_);
  ended_ = true;
  for (const auto& remove : std::exchange(dropped_, {})) {
    remove(true);
  }
  for (Task* task : std::exchange(waiting_, {})) {
    task->fault = std::make_exception_ptr(
        CoreError("M3L_ENDED", "the worker has ended that a hook or a custom function belongs to"));
    task->done = true;
  }
  changed_.notify_all();
}

}  // namespace m3l
