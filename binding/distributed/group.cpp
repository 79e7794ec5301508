#include "group.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>
#include <future>
#include <optional>
#include <thread>

#include "errors.h"
#include "nccl-factory.h"

namespace m3l::distributed {

namespace {

/// How long a rank that has failed listens for the others, and how often one that waits looks up.
constexpr Milliseconds kRollCall(5000);
constexpr Milliseconds kSlice(1000);
/// By how much libtorch's own error, which says more, may come after the time is up.
constexpr Milliseconds kGrace(1000);

/// Of this process's next collective, whatever its group.
std::atomic<int64_t> next_number{1};

/// What `ask` gives, or nothing where it throws or takes longer: a store behind a cable that was
/// pulled may never answer, and the thread that asked is then left behind.
std::optional<bool> within(Milliseconds limit, std::function<bool()> ask) {
  auto answer = std::make_shared<std::promise<bool>>();
  auto result = answer->get_future();
  std::thread([answer, ask = std::move(ask)]() mutable {
    bool given = false;
    std::exception_ptr error;
    try {
      given = ask();
    } catch (...) {
      error = std::current_exception();
    }
    // What it holds of a store is not held longer than by who has asked.
    ask = nullptr;
    error ? answer->set_exception(error) : answer->set_value(given);
  }).detach();
  if (result.wait_for(limit) != std::future_status::ready) {
    return std::nullopt;
  }
  try {
    return result.get();
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

/// The address of this machine on the way to the store: the name that a machine gives itself may
/// lead to an interface that the others do not reach.
std::optional<std::string> address_towards(const std::string& host, int64_t port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_DGRAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found) != 0) {
    return std::nullopt;
  }
  std::optional<std::string> address;
  for (const addrinfo* entry = found; entry != nullptr && !address; entry = entry->ai_next) {
    const int handle = socket(entry->ai_family, entry->ai_socktype, 0);
    sockaddr_storage own{};
    socklen_t length = sizeof(own);
    char text[NI_MAXHOST];
    if (handle >= 0 && connect(handle, entry->ai_addr, entry->ai_addrlen) == 0 &&
        getsockname(handle, reinterpret_cast<sockaddr*>(&own), &length) == 0 &&
        getnameinfo(reinterpret_cast<sockaddr*>(&own), length, text, sizeof(text), nullptr, 0,
                    NI_NUMERICHOST) == 0) {
      address = text;
    }
    if (handle >= 0) {
      close(handle);
    }
  }
  freeaddrinfo(found);
  return address;
}

std::shared_ptr<gloo::transport::Device> gloo_device(const GroupOptions& options) {
  using Gloo = c10d::ProcessGroupGloo;
  const char* interface = std::getenv("GLOO_SOCKET_IFNAME");
  if (interface != nullptr && *interface != '\0') {
    return Gloo::createDeviceForInterface(interface);
  }
  const auto address =
      options.store != "file" ? address_towards(options.address, options.port) : std::nullopt;
  return address ? Gloo::createDeviceForHostname(*address) : Gloo::createDefaultDevice();
}

c10::intrusive_ptr<c10d::ProcessGroup> connect_all(const GroupOptions& options,
                                                   const c10::intrusive_ptr<c10d::Store>& store) {
  using Kind = c10d::ProcessGroup::BackendType;
  const auto rank = static_cast<int>(options.rank);
  const auto size = static_cast<int>(options.world_size);
  auto group = c10::make_intrusive<c10d::ProcessGroup>(store, rank, size);
  auto gloo_options = c10d::ProcessGroupGloo::Options::create(options.timeout);
  gloo_options->devices.push_back(gloo_device(options));
  const auto gloo = c10::make_intrusive<c10d::ProcessGroupGloo>(
      c10::make_intrusive<c10d::PrefixStore>("gloo", store), rank, size, gloo_options);
  group->setBackend(c10::DeviceType::CPU, Kind::GLOO, gloo);
  if (options.backend == "nccl") {
    group->setBackend(c10::DeviceType::CUDA, Kind::NCCL,
                      make_nccl(c10::make_intrusive<c10d::PrefixStore>("nccl", store), rank, size,
                                options.timeout));
    group->setDefaultBackend(Kind::NCCL);
  } else {
    if (at::hasCUDA()) {
      group->setBackend(c10::DeviceType::CUDA, Kind::GLOO, gloo);
    }
    group->setDefaultBackend(Kind::GLOO);
  }
  group->setGroupName(kGroupName);
  return group;
}

}  // namespace

Group::Group(const GroupOptions& options)
    : options_(options), store_(meet(options)), first_number_(next_number) {
  try {
    group_ = connect_all(options_, store_);
  } catch (const std::exception&) {
    const std::string why = reason();
    if (why.rfind("M3L_DISTRIBUTED_", 0) == 0) {
      throw;
    }
    broken_by("initProcessGroup", why);
  }
  c10d::register_process_group(kGroupName, group_);
}

Group::~Group() {
  if (group_) {
    c10d::unregister_process_group(kGroupName);
  }
  if (!broken_.empty()) {
    // Its end would wait for collectives that never come to one.
    group_.release();
  }
}

c10::intrusive_ptr<c10d::Backend> Group::backend_for(c10::DeviceType device) {
  {
    const std::lock_guard lock(mutex_);
    if (!broken_.empty()) {
      fail("PEER", "the process group is of no use since an earlier failure: ", broken_,
           ". End the process and start all ranks anew from the last checkpoint");
    }
  }
  try {
    return group_->getBackend(device);
  } catch (const std::exception&) {
    fail("BACKEND", "the group's backend ", options_.backend, " takes no tensors of ",
         c10::DeviceTypeName(device, true),
         ": move them to another device, or use another backend");
  }
}

int64_t Group::begin(Pending pending) {
  sweep();
  const std::lock_guard lock(mutex_);
  const int64_t number = next_number++;
  pending_.emplace(number, std::move(pending));
  return number;
}

void Group::wait(int64_t number) {
  if (number < first_number_) {
    fail("STATE",
         "this collective's group was left before it was waited for: wait() for what was begun, ",
         "then destroyProcessGroup()");
  }
  std::optional<Pending> taken;
  {
    const std::lock_guard lock(mutex_);
    auto found = pending_.extract(number);
    if (found.empty()) {
      return;
    }
    taken = std::move(found.mapped());
  }
  wait(*taken);
}

void Group::wait(Pending& pending) {
  if (pending.work) {
    const bool on_cpu = pending.buffer.device().is_cpu();
    const auto deadline = pending.began + options_.timeout + kGrace;
    Clock::time_point next_look = Clock::now() + kSlice;
    while (true) {
      try {
        if (on_cpu) {
          pending.work->wait(kSlice);
          break;
        }
        if (pending.work->isCompleted()) {
          pending.work->wait();
          break;
        }
        std::this_thread::sleep_for(std::chrono::microseconds(50));
      } catch (const std::exception&) {
        if (!on_cpu || pending.work->isCompleted()) {
          broken_by(pending.name, reason());
        }
      }
      if (Clock::now() > deadline) {
        broken_by(pending.name, "timed out");
      }
      if (Clock::now() > next_look) {
        if (another_has_failed()) {
          broken_by(pending.name, "another rank has failed");
        }
        next_look = Clock::now() + kSlice;
      }
    }
  }
  if (pending.target.defined() && !pending.buffer.is_alias_of(pending.target)) {
    const at::NoGradGuard no_grad;
    pending.target.copy_(pending.buffer);
  }
}

bool Group::done(int64_t number) {
  const std::lock_guard lock(mutex_);
  const auto found = pending_.find(number);
  return found == pending_.end() || !found->second.work || found->second.work->isCompleted();
}

/// Those that nobody waits for, done as if somebody had.
void Group::sweep() {
  std::vector<Pending> ended;
  {
    const std::lock_guard lock(mutex_);
    for (auto entry = pending_.begin(); entry != pending_.end();) {
      const auto& work = entry->second.work;
      if (!work || (work->isCompleted() && !work->exception())) {
        ended.push_back(std::move(entry->second));
        entry = pending_.erase(entry);
      } else {
        ++entry;
      }
    }
  }
  for (Pending& pending : ended) {
    wait(pending);
  }
}

bool Group::another_has_failed() {
  if (store_lost_) {
    return false;
  }
  const auto failed =
      within(2 * kSlice, [store = store_] { return store->check({std::string("failed")}); });
  store_lost_ = !failed.has_value();
  return failed.value_or(true);
}

std::vector<int64_t> Group::silent_ranks() {
  std::vector<int64_t> silent;
  const auto key = [](int64_t rank) { return c10::str("failed/", rank); };
  const auto deadline = Clock::now() + std::min(kRollCall, options_.timeout);
  within(kSlice, [store = store_, own = key(rank())] {
    store->set("failed", "yes");
    store->set(own, "yes");
    return true;
  });
  for (int64_t other = 0; other < size(); ++other) {
    std::optional<bool> there = false;
    while (other != rank() && !*there) {
      there =
          within(kSlice, [store = store_, asked = key(other)] { return store->check({asked}); });
      if (!there.has_value()) {
        store_lost_ = true;
        return {};
      }
      if (!*there && Clock::now() > deadline) {
        silent.push_back(other);
        break;
      }
      if (!*there) {
        std::this_thread::sleep_for(Milliseconds(50));
      }
    }
  }
  return silent;
}

void Group::broken_by(const std::string& what, const std::string& why) {
  {
    const std::lock_guard lock(mutex_);
    broken_ = c10::str(what, " failed");
  }
  const auto silent = silent_ranks();
  std::string who;
  if (store_lost_) {
    who =
        "the store does not answer either: the process that holds it (rank 0, or torchrun's agent) "
        "is gone or not reached";
  } else if (silent.empty()) {
    who = "all ranks report a failure: see their output for the first";
  } else {
    who = c10::str(ranks_text(silent), silent.size() == 1 ? " has" : " have",
                   " ended, or did not come to this collective");
  }
  const bool late = why.find("imed out") != std::string::npos;
  const std::string message =
      c10::str(what, " of rank ", rank(), " failed: ", who, " (",
               late ? "timed out after " + seconds_text(options_.timeout) : why, ")");
  {
    const std::lock_guard lock(mutex_);
    broken_ = message;
  }
  fail(late ? "TIMEOUT" : "PEER", message);
}

}  // namespace m3l::distributed
