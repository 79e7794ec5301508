// The process group of this process: one, whatever thread asks for it.
#pragma once

#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "torch.h"

namespace m3l::distributed {

using Milliseconds = std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

/// What a group is made of; `agreement` must be the same text in all ranks.
struct GroupOptions {
  std::string backend;
  /// `tcp`, which rank 0 holds as long as the group lives; `agent`, torchrun's, which outlives it;
  /// `file`.
  std::string store;
  std::string address;
  int64_t port;
  bool hosts_store;
  int64_t rank;
  int64_t world_size;
  Milliseconds timeout;
  std::string prefix;
  std::string agreement;
};

/// A collective that was begun. Its result lies in `target` once it was waited for.
struct Pending {
  std::string name;
  c10::intrusive_ptr<c10d::Work> work;
  at::Tensor target;
  /// Where the collective works, in the layout that it takes; may share the target's memory.
  at::Tensor buffer;
  Clock::time_point began;
};

class Group {
 public:
  /// Meets the other ranks at the store, and connects to them.
  explicit Group(const GroupOptions& options);
  ~Group();
  Group(const Group&) = delete;
  Group& operator=(const Group&) = delete;

  [[nodiscard]] int64_t rank() const { return options_.rank; }
  [[nodiscard]] int64_t size() const { return options_.world_size; }
  [[nodiscard]] const std::string& backend_name() const { return options_.backend; }

  /// What does the collectives of a device's tensors. Throws where an earlier one has failed.
  c10::intrusive_ptr<c10d::Backend> backend_for(c10::DeviceType device);

  /// The number to wait for it by.
  int64_t begin(Pending pending);
  /// Returns at once for one that was waited for. Throws as soon as it or another rank has failed,
  /// and for one of a group that was left.
  void wait(int64_t number);
  void wait(Pending& pending);
  bool done(int64_t number);

 private:
  void sweep();
  /// Marks the group as broken, tells the other ranks, and throws an error that names the silent
  /// ones.
  [[noreturn]] void broken_by(const std::string& what, const std::string& why);
  bool another_has_failed();
  std::vector<int64_t> silent_ranks();

  GroupOptions options_;
  c10::intrusive_ptr<c10d::Store> store_;
  c10::intrusive_ptr<c10d::ProcessGroup> group_;
  std::mutex mutex_;
  std::map<int64_t, Pending> pending_;
  /// Those before are of earlier groups of this process.
  int64_t first_number_;
  std::string broken_;
  std::atomic<bool> store_lost_{false};
};

/// Under which c10d's registry knows it.
inline constexpr const char* kGroupName = "default";

/// The store of the options, where all ranks have come and agree.
c10::intrusive_ptr<c10d::Store> meet(GroupOptions options);

/// Null where there is none.
std::shared_ptr<Group> find_group();
/// Throws where there is none.
std::shared_ptr<Group> group();

}  // namespace m3l::distributed
