// The process's one group as operators: made, asked for, given up.
#include <thread>

#include "../interface-version.h"
#include "errors.h"
#include "group.h"

namespace m3l::distributed {

namespace {

/// Never destroyed: a process that ends without giving its group up must not wait for other ranks.
struct State {
  std::mutex mutex;
  std::shared_ptr<Group> group;
};

State& state() {
  static auto* const state = new State;
  return *state;
}

// A group takes as long as the slowest rank; who asks for one meanwhile is not to wait for it.
std::mutex& initialising() {
  static auto* const mutex = new std::mutex;
  return *mutex;
}

void initialise(std::string backend, std::string store, std::string address, int64_t port,
                bool hosts_store, int64_t rank, int64_t world_size, int64_t timeout,
                std::string prefix, std::string agreement) {
  const std::lock_guard alone(initialising());
  // What c10d has to say on the standard error comes as an error with a code.
  if (std::getenv("TORCH_CPP_LOG_LEVEL") == nullptr) {
    FLAGS_caffe2_log_level = c10::GLOG_FATAL;
  }
  if (find_group() != nullptr) {
    fail("STATE", "this process has a process group: destroyProcessGroup() comes before another");
  }
  auto made = std::make_shared<Group>(GroupOptions{
      std::move(backend), std::move(store), std::move(address), port, hosts_store, rank, world_size,
      Milliseconds(timeout), std::move(prefix), std::move(agreement)});
  const std::lock_guard lock(state().mutex);
  state().group = std::move(made);
}

void destroy() {
  std::shared_ptr<Group> gone;
  {
    const std::lock_guard lock(state().mutex);
    gone.swap(state().group);
  }
  // A thread of Node's pool may wait for a collective; its group's store and name are free after
  // that.
  while (gone.use_count() > 1) {
    std::this_thread::sleep_for(Milliseconds(1));
  }
}

std::tuple<int64_t, int64_t, std::string> describe() {
  const auto group = distributed::group();
  return {group->rank(), group->size(), group->backend_name()};
}

}  // namespace

std::shared_ptr<Group> find_group() {
  const std::lock_guard lock(state().mutex);
  return state().group;
}

std::shared_ptr<Group> group() {
  auto found = find_group();
  if (found == nullptr) {
    fail("STATE", "this process has no process group: initProcessGroup() comes first");
  }
  return found;
}

TORCH_LIBRARY_FRAGMENT(m3l_distributed, library) {
  library.def("interface_version() -> int", [] { return int64_t{kInterfaceVersion}; });
  library.def(
      "init(str backend, str store, str address, int port, bool hosts_store, int rank, "
      "int world_size, int timeout, str prefix, str agreement) -> ()",
      initialise);
  library.def("destroy() -> ()", destroy);
  library.def("is_initialized() -> bool", [] { return find_group() != nullptr; });
  library.def("describe() -> (int, int, str)", describe);
}

}  // namespace m3l::distributed
