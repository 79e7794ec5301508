// How ranks find each other: a store that all of them reach, where each says what it is.
#include <algorithm>
#include <filesystem>
#include <functional>
#include <map>
#include <numeric>
#include <random>
#include <thread>

#include "errors.h"
#include "group.h"

namespace m3l::distributed {

namespace {

constexpr Milliseconds kLook(20);
constexpr Milliseconds kLongestLook(200);
/// For how long the rank that holds the store stays after a refusal, so that the others read it.
constexpr Milliseconds kLastLook(1000);

/// Of this process alone, on whatever machine.
const std::string& own_name() {
  static const auto* const name = [] {
    std::random_device random;
    return new std::string(c10::str(random(), "-", random(), "-", random(), "-", random()));
  }();
  return *name;
}

/// How often this process has met others there; asked and raised by one thread at a time.
int64_t& meetings_at(const std::string& place) {
  static auto* const meetings = new std::map<std::string, int64_t>;
  return (*meetings)[place];
}

c10::intrusive_ptr<c10d::Store> open_store(const GroupOptions& options, Milliseconds timeout) {
  if (options.store == "file") {
    // c10d would try for minutes.
    const auto folder = std::filesystem::absolute(options.address).parent_path();
    TORCH_CHECK(std::filesystem::is_directory(folder), folder, " is no folder");
    return c10::make_intrusive<c10d::FileStore>(options.address, options.world_size);
  }
  c10d::TCPStoreOptions tcp;
  tcp.port = static_cast<uint16_t>(options.port);
  tcp.isServer = options.hosts_store;
  tcp.waitWorkers = false;
  tcp.timeout = timeout;
  // libtorch brings a libuv, whose functions Node's own of another version would stand in for.
  tcp.useLibUV = false;
  return c10::make_intrusive<c10d::TCPStore>(options.address, tcp);
}

std::string place_of(const GroupOptions& options) {
  return options.store == "file" ? options.address : c10::str(options.address, ":", options.port);
}

c10::intrusive_ptr<c10d::Store> reach_store(const GroupOptions& options,
                                            Clock::time_point deadline) {
  try {
    const auto left = std::chrono::duration_cast<Milliseconds>(deadline - Clock::now());
    auto store = open_store(options, std::max(left, kLook));
    store->setTimeout(options.timeout);
    return store;
  } catch (const std::exception&) {
    const std::string why = reason();
    if (options.store == "file") {
      fail("STORE", "the file store ", options.address, " cannot be opened (", why,
           "): name a file in a folder that exists and all ranks may write to");
    }
    if (why.find("ddress already in use") != std::string::npos) {
      fail("STORE", "port ", options.port, " of rank 0 is in use: name another by MASTER_PORT or ",
           "initMethod, or end the process that holds it");
    }
    if (options.hosts_store) {
      fail("STORE", "rank 0 cannot hold the store at ", place_of(options), ": ", why);
    }
    fail("STORE", "rank ", options.rank, " found no store at ", place_of(options), " within ",
         seconds_text(options.timeout),
         ": see that rank 0 runs, and that its address and port (MASTER_ADDR, MASTER_PORT) are ",
         "reached from here (", why, ")");
  }
}

/// The store that this group's rank 0 holds. An earlier group's at the same address may be open
/// still, as its rank 0 leaves later than this rank: that one knows this process.
c10::intrusive_ptr<c10d::Store> reach_new_store(const GroupOptions& options,
                                                Clock::time_point deadline) {
  while (true) {
    const auto store = reach_store(options, deadline);
    try {
      if (store->add("process/" + own_name(), 1) == 1) {
        return store;
      }
    } catch (const c10::Error&) {
      // It was closed meanwhile.
    }
    if (Clock::now() > deadline) {
      fail("TIMEOUT", "rank ", options.rank, " found only the store of an earlier group at ",
           place_of(options), " for ", seconds_text(options.timeout),
           ": destroyProcessGroup() and then initProcessGroup() are for all ranks");
    }
    std::this_thread::sleep_for(kLook);
  }
}

std::string key_of(int64_t rank) { return c10::str("agreement/", rank); }

/// Ends the attempt for all ranks.
[[noreturn]] void refuse(c10d::Store& store, const GroupOptions& options, const char* code,
                         const std::string& message) {
  store.set("refused", c10::str("M3L_DISTRIBUTED_", code, ": ", message));
  if (options.rank == 0) {
    std::this_thread::sleep_for(kLastLook);
  }
  fail(code, message);
}

void require_same(c10d::Store& store, const GroupOptions& options, int64_t rank) {
  const std::string other = store.get_to_str(key_of(rank));
  if (other != options.agreement) {
    refuse(store, options, "MISMATCH",
           c10::str("rank ", options.rank, " has ", options.agreement, "; rank ", rank, " has ",
                    other, ": all ranks must be started alike"));
  }
}

/// Waits for keys that the given ranks set, until the deadline; ends early where a rank has
/// refused. `look` is what is done meanwhile.
void wait_for(
    c10d::Store& store, const std::vector<int64_t>& ranks,
    const std::function<std::string(int64_t)>& key, const GroupOptions& options,
    Clock::time_point deadline, const std::function<void()>& look = [] {}) {
  std::vector<std::string> keys;
  for (const int64_t rank : ranks) {
    keys.push_back(key(rank));
  }
  for (Milliseconds pause = kLook; !store.check(keys); pause = std::min(2 * pause, kLongestLook)) {
    look();
    if (store.check({"refused"})) {
      C10_THROW_ERROR(Error, store.get_to_str("refused"));
    }
    if (Clock::now() > deadline) {
      std::vector<int64_t> missing;
      std::ranges::copy_if(ranks, std::back_inserter(missing),
                           [&](int64_t rank) { return !store.check({key(rank)}); });
      refuse(store, options, "TIMEOUT",
             c10::str(ranks_text(missing), " of ", options.world_size, " did not come to ",
                      place_of(options), " within ", seconds_text(options.timeout),
                      ": see whether it was started, and its output"));
    }
    std::this_thread::sleep_for(pause);
  }
}

/// In a store that outlives groups nothing tells an earlier one's keys from this one's, and
/// torchrun's agents do not count their restarts alike: rank 0 tells each process by its name where
/// they meet.
class Invitations {
 public:
  Invitations(c10d::Store& store, std::string place) : store_(store), place_(std::move(place)) {}

  void send(const std::vector<int64_t>& ranks) {
    for (const int64_t rank : ranks) {
      if (!store_.check({here(rank)})) {
        continue;
      }
      // An earlier process of that rank may have left its name.
      auto name = store_.get_to_str(here(rank));
      if (invited_[rank] != name) {
        store_.set(c10::str(invitation(name), "/", kPlace), place_);
        invited_[rank] = std::move(name);
      }
    }
  }

  static std::string await(const c10::intrusive_ptr<c10d::Store>& store, const std::string& name,
                           const GroupOptions& options, Clock::time_point deadline) {
    // Of this process alone: what it says there, a refusal too, no later one reads.
    c10d::PrefixStore own(invitation(name), store);
    store->set(here(options.rank), name);
    wait_for(own, {0}, [](int64_t) { return kPlace; }, options, deadline);
    return own.get_to_str(kPlace);
  }

 private:
  static constexpr const char* kPlace = "place";
  static std::string here(int64_t rank) { return c10::str("m3l/here/", rank); }
  static std::string invitation(const std::string& name) { return "m3l/invitation/" + name; }

  c10d::Store& store_;
  std::string place_;
  std::map<int64_t, std::string> invited_;
};

}  // namespace

c10::intrusive_ptr<c10d::Store> meet(GroupOptions options) {
  const auto deadline = Clock::now() + options.timeout;
  int64_t& meetings = meetings_at(place_of(options));
  // c10d removes a file when all have left it, a rank that is on its way to the next group or not.
  if (options.store == "file" && meetings > 0) {
    options.address += c10::str(".", meetings);
  }
  const bool outlives = options.store == "agent";
  const auto name = c10::str(own_name(), "/", meetings);
  const auto reached =
      options.store == "tcp" ? reach_new_store(options, deadline) : reach_store(options, deadline);
  c10::intrusive_ptr<c10d::Store> store;
  try {
    auto prefix = options.prefix;
    if (outlives) {
      prefix =
          options.rank == 0 ? "m3l/" + name : Invitations::await(reached, name, options, deadline);
    }
    Invitations invitations(*reached, prefix);
    store = c10::make_intrusive<c10d::PrefixStore>(prefix, reached);
    if (store->add(c10::str("joined/", options.rank), 1) != 1) {
      refuse(*store, options, "MISMATCH",
             c10::str("another process has come as rank ", options.rank, " to ", place_of(options),
                      options.store == "file" ? ": remove the file if an earlier run left it, else "
                                              : ": ",
                      "give each process a rank of its own"));
    }
    store->set(key_of(options.rank), options.agreement);
    if (options.rank == 0) {
      std::vector<int64_t> others(options.world_size - 1);
      std::iota(others.begin(), others.end(), 1);
      wait_for(*store, others, key_of, options, deadline, [&] {
        if (outlives) {
          invitations.send(others);
        }
      });
      for (const int64_t rank : others) {
        require_same(*store, options, rank);
      }
      store->set("complete", "yes");
    } else {
      wait_for(*store, {0}, key_of, options, deadline);
      require_same(*store, options, 0);
      wait_for(*store, {0}, [](int64_t) { return "complete"; }, options, deadline);
    }
  } catch (const c10::DistStoreError&) {
    fail("STORE", "the store at ", place_of(options), " was lost (", reason(),
         "): rank 0 has ended");
  } catch (const c10::DistNetworkError&) {
    fail("STORE", "the store at ", place_of(options), " was lost (", reason(),
         "): rank 0 has ended");
  }
  ++meetings;
  return store;
}

}  // namespace m3l::distributed
