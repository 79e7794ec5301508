// How ranks find each other: a store that all of them reach, where each says what it is.
#include "errors.h"
#include "group.h"

namespace m3l::distributed {

namespace {

constexpr Milliseconds kSlice(500);

c10::intrusive_ptr<c10d::Store> open_store(const GroupOptions& options) {
  if (options.store == "file") {
    return c10::make_intrusive<c10d::FileStore>(options.address, options.world_size);
  }
  c10d::TCPStoreOptions tcp;
  tcp.port = static_cast<uint16_t>(options.port);
  tcp.isServer = options.hosts_store;
  tcp.waitWorkers = false;
  tcp.timeout = options.timeout;
  // libtorch brings a libuv, whose functions Node's own of another version would stand in for.
  tcp.useLibUV = false;
  return c10::make_intrusive<c10d::TCPStore>(options.address, tcp);
}

std::string place_of(const GroupOptions& options) {
  return options.store == "file" ? options.address : c10::str(options.address, ":", options.port);
}

c10::intrusive_ptr<c10d::Store> reach_store(const GroupOptions& options) {
  try {
    return open_store(options);
  } catch (const std::exception&) {
    const std::string why = reason();
    if (options.store == "file") {
      fail("STORE", "the file store ", options.address, " cannot be opened (", why,
           "): name a file in a folder that exists and all ranks may write to");
    }
    if (why.find("EADDRINUSE") != std::string::npos) {
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

std::string key_of(int64_t rank) { return c10::str("agreement/", rank); }

[[noreturn]] void refuse(c10d::Store& store, const std::string& message) {
  store.set("refused", message);
  fail("MISMATCH", message);
}

/// Waits for keys that the given ranks set, until the deadline; ends early where a rank has refused.
void wait_for(c10d::Store& store, const std::vector<int64_t>& ranks,
              const std::function<std::string(int64_t)>& key, const GroupOptions& options,
              Clock::time_point deadline) {
  std::vector<std::string> keys;
  for (const int64_t rank : ranks) {
    keys.push_back(key(rank));
  }
  while (true) {
    try {
      store.wait(keys, kSlice);
      return;
    } catch (const std::exception&) {
      if (Clock::now() < deadline) {
        if (store.check({"refused"})) {
          fail("MISMATCH", store.get_to_str("refused"));
        }
        continue;
      }
    }
    std::vector<int64_t> missing;
    for (const int64_t rank : ranks) {
      if (!store.check({key(rank)})) {
        missing.push_back(rank);
      }
    }
    fail("TIMEOUT", ranks_text(missing), " of ", options.world_size, " did not come to ",
         place_of(options), " within ", seconds_text(options.timeout),
         ": see whether it was started, and its output");
  }
}

}  // namespace

c10::intrusive_ptr<c10d::Store> meet(const GroupOptions& options) {
  const auto deadline = Clock::now() + options.timeout;
  const auto reached = reach_store(options);
  const auto store = c10::make_intrusive<c10d::PrefixStore>(options.prefix, reached);
  try {
    if (store->add(c10::str("joined/", options.rank), 1) != 1) {
      fail("MISMATCH", "another process has come as rank ", options.rank, " to ",
           place_of(options),
           options.store == "file" ? ": remove the file where an earlier run has left it, else "
                                   : ": ",
           "give each process a rank of its own");
    }
    store->set(key_of(options.rank), options.agreement);
    wait_for(*store, {0}, key_of, options, deadline);
    const std::string expected = store->get_to_str(key_of(0));
    if (expected != options.agreement) {
      refuse(*store, c10::str("rank ", options.rank, " has ", options.agreement, ", rank 0 ",
                              expected, ": all ranks must be started alike"));
    }
    std::vector<int64_t> others;
    for (int64_t rank = 1; rank < options.world_size; ++rank) {
      others.push_back(rank);
    }
    if (options.rank == 0) {
      wait_for(*store, others, key_of, options, deadline);
      store->set("complete", "yes");
    } else {
      wait_for(*store, {0}, [](int64_t) { return "complete"; }, options, deadline);
    }
  } catch (const c10::DistStoreError&) {
    fail("STORE", "the store at ", place_of(options), " was lost (", reason(), "): rank 0 has ended");
  } catch (const c10::DistNetworkError&) {
    fail("STORE", "the store at ", place_of(options), " was lost (", reason(), "): rank 0 has ended");
  }
  return store;
}

}  // namespace m3l::distributed
