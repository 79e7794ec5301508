// The thread that JavaScript runs on, for others that need it: a backward calls hooks and custom
// functions on whichever thread it has come to.
#pragma once

#include <napi.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace m3l {

class JsThread : public std::enable_shared_from_this<JsThread> {
 public:
  explicit JsThread(Napi::Env env) : env_(env) {}

  [[nodiscard]] Napi::Env env() const { return env_; }

  /// Runs `work` there, with this thread's modes, and waits; what it throws is thrown here. Throws
  /// M3L_ENDED where the environment has ended.
  void run(const std::function<void()>& work);

  /// Of that thread: runs a backward, on a thread where it may call `run`. While it waits, it does
  /// what others have for it.
  void run_backward(const std::function<void()>& work);

  /// Deletes a reference on that thread, now or soon; a reference of an ended environment is gone.
  template <typename Reference>
  void drop(Reference* reference) {
    drop_by([reference](bool ended) {
      if (ended) {
        reference->SuppressDestruct();
      }
      delete reference;
    });
  }

  /// Before the first callback: from then on other threads can wake this one.
  void callback_made();
  void callback_gone() { --callbacks_; }

 private:
  /// What another thread waits for.
  struct Task {
    const std::function<void()>* work;
    std::function<void(const std::function<void()>&)> as_there;
    /// Work that must be done on the thread that waits.
    const std::function<void()>* errand = nullptr;
    std::exception_ptr errand_fault = nullptr;
    std::exception_ptr fault = nullptr;
    bool done = false;
  };

  [[nodiscard]] bool is_here() const { return std::this_thread::get_id() == thread_; }
  void drop_by(std::function<void(bool ended)> remove);
  /// Does what waits, and then more until `done`, which another thread sets under the lock.
  void serve(const std::function<bool()>& done);
  void serve_one(std::unique_lock<std::mutex>& lock, Task& task);
  void run_on_helper(const std::function<void()>& work);
  void send_back(Task& task, const std::function<void()>& work);
  void wake();
  void end();

  Napi::Env env_;
  const std::thread::id thread_ = std::this_thread::get_id();
  std::atomic<int> callbacks_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Task*> waiting_;
  std::vector<std::function<void(bool ended)>> dropped_;
  /// The tasks that are being done, a later one inside an earlier one; of that thread alone.
  std::vector<Task*> doing_;
  napi_threadsafe_function waker_ = nullptr;
  bool ended_ = false;
};

}  // namespace m3l
