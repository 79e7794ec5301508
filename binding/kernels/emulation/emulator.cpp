// The scheduler: which thread of a block runs, and when those that wait may go on.
#include "emulator.h"

#include <cuda_runtime.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <numeric>
#include <random>
#include <stdexcept>
#include <vector>

#include "faults.h"
#include "fiber.h"
#include "guarded_memory.h"
#include "shared_memory.h"

uint3 threadIdx;
uint3 blockIdx;
dim3 blockDim;
dim3 gridDim;

namespace m3l::emulation {
namespace {

constexpr int kLanes = 32;

enum class State : std::uint8_t { kReady, kAtBarrier, kInExchange, kEnded };

struct Thread {
  Fiber fiber;
  uint3 index;
  State state = State::kEnded;
  /** Where it waits. */
  std::source_location where;
  Exchange kind{};
  unsigned mask = 0;
  std::uint64_t value = 0;
  int source = 0;
  std::uint64_t result = 0;
};

/** What one launch at a time has. */
struct Block {
  std::vector<std::unique_ptr<Thread>> threads;
  int size = 0;
  int at_barrier = 0;
  int ended = 0;
  int current = -1;
  const ThreadBody* body = nullptr;
  std::string fault;
  std::vector<int> order;
};

std::mutex mutex;
Block block;
std::uint64_t launches = 0;

enum class Order : std::uint8_t { kForward, kReverse, kShuffled, kMixed };

Order WantedOrder() {
  const char* given = std::getenv("M3L_EMULATED_ORDER");
  const std::string name = given == nullptr ? "mixed" : given;
  if (name == "forward") return Order::kForward;
  if (name == "reverse") return Order::kReverse;
  if (name == "shuffled") return Order::kShuffled;
  if (name == "mixed") return Order::kMixed;
  throw std::runtime_error("M3L_EMULATED_ORDER is '" + name +
                           "', expected forward, reverse, shuffled or mixed");
}

std::minstd_rand& Random() {
  static std::minstd_rand random([] {
    const char* seed = std::getenv("M3L_EMULATED_SEED");
    return seed == nullptr ? 1U : static_cast<unsigned>(std::strtoul(seed, nullptr, 10));
  }());
  return random;
}

/** The numbers from 0 on, as the `turn`-th launch or block takes them. */
template <typename Number>
void Arrange(std::vector<Number>& numbers, std::size_t count, std::uint64_t turn) {
  static const Order wanted = WantedOrder();
  constexpr Order kTurns[] = {Order::kForward, Order::kReverse, Order::kShuffled};
  const Order order = wanted == Order::kMixed ? kTurns[turn % 3] : wanted;
  numbers.resize(count);
  std::iota(numbers.begin(), numbers.end(), Number{0});
  if (order == Order::kReverse) std::reverse(numbers.begin(), numbers.end());
  if (order == Order::kShuffled) std::shuffle(numbers.begin(), numbers.end(), Random());
}

std::string Text(unsigned x, unsigned y, unsigned z) {
  // Appended: of sums of texts g++ 12 at -O3 warns that they overlap.
  std::string text = "(";
  text.append(std::to_string(x)).append(", ").append(std::to_string(y)).append(", ");
  return text.append(std::to_string(z)).append(")");
}

std::string Text(const std::source_location& where) {
  const std::string file = where.file_name();
  return file.substr(file.find_last_of('/') + 1) + ":" + std::to_string(where.line());
}

Thread& Current() { return *block.threads[static_cast<std::size_t>(block.current)]; }

void ReleaseBarrierIfAllThere() {
  if (block.at_barrier == 0 || block.at_barrier + block.ended < block.size) return;
  const Thread* first = nullptr;
  for (int i = 0; i < block.size; ++i) {
    Thread& thread = *block.threads[static_cast<std::size_t>(i)];
    if (thread.state != State::kAtBarrier) continue;
    if (first == nullptr) first = &thread;
    if (thread.where.line() != first->where.line()) {
      Fail("threads of the block are at different barriers, " + Text(first->where) + " and " +
           Text(thread.where) + ": expected all at one");
    }
    thread.state = State::kReady;
  }
  block.at_barrier = 0;
}

/** A thread's whole life, again for each block. */
void LiveAndLiveAgain() {
  for (;;) {
    (*block.body)();
    Thread& mine = Current();
    mine.state = State::kEnded;
    ++block.ended;
    ReleaseBarrierIfAllThere();
    mine.fiber.Leave();
  }
}

std::uint64_t ResultOf(const Thread& mine, int first_of_warp, unsigned mask) {
  const auto of = [&](int lane) -> const Thread& {
    return *block.threads[static_cast<std::size_t>(first_of_warp + lane)];
  };
  if (mine.kind == Exchange::kShuffle) {
    if ((mask >> mine.source & 1U) == 0) {
      Fail("a shuffle reads lane " + std::to_string(mine.source) +
           ", which its mask does not name: expected a lane of the mask");
    }
    return of(mine.source).value;
  }
  std::uint64_t lanes = 0;
  for (int lane = 0; lane < kLanes; ++lane) {
    if ((mask >> lane & 1U) == 0) continue;
    if (of(lane).value == mine.value) lanes |= std::uint64_t{1} << lane;
  }
  return lanes;
}

/** Where threads wait that nothing will release. */
[[noreturn]] void ThrowDeadlock(const std::string& context) {
  std::string message = "no thread can go on:";
  int told = 0;
  for (int i = 0; i < block.size && told < 4; ++i) {
    const Thread& thread = *block.threads[static_cast<std::size_t>(i)];
    if (thread.state == State::kEnded) continue;
    char mask[40] = "";
    if (thread.state == State::kInExchange) {
      std::snprintf(mask, sizeof(mask), " with mask %08x", thread.mask);
    }
    message += (told++ == 0 ? " thread " : ", thread ") + std::to_string(i) + " waits at " +
               Text(thread.where) + mask;
  }
  throw std::runtime_error("emulated CUDA: " + message + context);
}

std::string Context(const Grid& grid) {
  return "; block " + Text(blockIdx.x, blockIdx.y, blockIdx.z) + " of " +
         Text(grid.grid.x, grid.grid.y, grid.grid.z) + " launched at " + Text(grid.where);
}

void RunBlock(const Grid& grid, std::uint64_t turn) {
  PoisonSharedMemory();
  block.at_barrier = 0;
  block.ended = 0;
  for (int i = 0; i < block.size; ++i) {
    block.threads[static_cast<std::size_t>(i)]->state = State::kReady;
  }
  Arrange(block.order, static_cast<std::size_t>(block.size), turn);
  while (block.ended < block.size) {
    bool advanced = false;
    for (const int i : block.order) {
      Thread& thread = *block.threads[static_cast<std::size_t>(i)];
      if (thread.state != State::kReady) continue;
      advanced = true;
      block.current = i;
      threadIdx = thread.index;
      thread.fiber.Enter(LiveAndLiveAgain);
      block.current = -1;
      if (!block.fault.empty()) {
        throw std::runtime_error("emulated CUDA: " + block.fault + "; thread " +
                                 Text(thread.index.x, thread.index.y, thread.index.z) +
                                 Context(grid));
      }
    }
    if (!advanced) ThrowDeadlock(Context(grid));
  }
}

void CheckLimits(const Grid& grid) {
  const auto& [x, y, z] = grid.block;
  const auto fail = [&](const std::string& what) {
    throw std::runtime_error("emulated CUDA: " + what + ", launched at " + Text(grid.where));
  };
  if (x == 0 || y == 0 || z == 0 || std::uint64_t{x} * y * z > 1024 || z > 64) {
    fail("a block of " + Text(x, y, z) + " threads, expected 1 to 1024, at most 64 of them in z");
  }
  const auto& blocks = grid.grid;
  if (blocks.x == 0 || blocks.y == 0 || blocks.z == 0 || blocks.x > 0x7fffffffU ||
      blocks.y > 65535 || blocks.z > 65535) {
    fail("a grid of " + Text(blocks.x, blocks.y, blocks.z) +
         " blocks, expected at least 1 and at most 2^31 - 1 in x, 65535 in y and z");
  }
  if (grid.shared > kMostSharedBytes) {
    fail(std::to_string(grid.shared) + " bytes of shared memory, expected at most " +
         std::to_string(kMostSharedBytes));
  }
}

void PrepareThreads(const dim3& size) {
  block.size = static_cast<int>(size.x * size.y * size.z);
  while (block.threads.size() < static_cast<std::size_t>(block.size)) {
    block.threads.push_back(std::make_unique<Thread>());
  }
  for (unsigned i = 0; i < static_cast<unsigned>(block.size); ++i) {
    block.threads[i]->index = {i % size.x, i / size.x % size.y, i / (size.x * size.y)};
  }
}

}  // namespace

bool InThread() { return block.current >= 0; }

void Fail(const std::string& message) {
  if (!InThread()) throw std::runtime_error("emulated CUDA: " + message);
  block.fault = message;
  Current().fiber.Abandon();
}

int Lane() { return block.current % kLanes; }

void Barrier(std::source_location where) {
  Thread& mine = Current();
  mine.where = where;
  mine.state = State::kAtBarrier;
  ++block.at_barrier;
  ReleaseBarrierIfAllThere();
  // Also the last one, so that the others' order is not always behind it.
  mine.fiber.Leave();
}

std::uint64_t ExchangeInWarp(Exchange kind, unsigned mask, std::uint64_t value, int source,
                             std::source_location where) {
  Thread& mine = Current();
  const int first = block.current / kLanes * kLanes;
  if ((mask >> Lane() & 1U) == 0) {
    Fail("lane " + std::to_string(Lane()) + " is not in its own mask, at " + Text(where));
  }
  mine.where = where;
  mine.kind = kind;
  mine.mask = mask;
  mine.value = value;
  mine.source = source;
  mine.state = State::kInExchange;
  bool all_there = true;
  for (int lane = 0; lane < kLanes; ++lane) {
    if ((mask >> lane & 1U) == 0) continue;
    const auto at = static_cast<std::size_t>(first + lane);
    if (first + lane >= block.size || block.threads[at]->state == State::kEnded) {
      Fail("the mask names lane " + std::to_string(lane) + ", which has ended or never was, at " +
           Text(where));
    }
    const Thread& other = *block.threads[at];
    all_there = all_there && other.state == State::kInExchange && other.mask == mask;
    if (all_there && other.kind != kind) {
      Fail("lanes of one mask ask for different things, at " + Text(where) + " and " +
           Text(other.where));
    }
  }
  if (all_there) {
    for (int lane = 0; lane < kLanes; ++lane) {
      if ((mask >> lane & 1U) == 0) continue;
      Thread& thread = *block.threads[static_cast<std::size_t>(first + lane)];
      thread.result = ResultOf(thread, first, mask);
      thread.state = State::kReady;
    }
  }
  mine.fiber.Leave();
  return mine.result;
}

void Run(const Grid& grid, ThreadBody body) {
  CheckLimits(grid);
  const std::lock_guard<std::mutex> lock(mutex);
  const FaultHandlers handlers;
  PrepareThreads(grid.block);
  PrepareDynamicSharedMemory(grid.shared);
  block.body = &body;
  block.fault.clear();
  gridDim = grid.grid;
  blockDim = grid.block;
  const std::uint64_t launch = launches++;
  std::vector<std::uint64_t> blocks;
  Arrange(blocks, std::uint64_t{grid.grid.x} * grid.grid.y * grid.grid.z, launch);
  try {
    for (const std::uint64_t i : blocks) {
      blockIdx = {static_cast<unsigned>(i % grid.grid.x),
                  static_cast<unsigned>(i / grid.grid.x % grid.grid.y),
                  static_cast<unsigned>(i / grid.grid.x / grid.grid.y)};
      RunBlock(grid, launch + i);
    }
    CheckGuardedMemory();
  } catch (...) {
    // They stand in the midst of the kernel.
    block.threads.clear();
    try {
      CheckGuardedMemory();
    } catch (const std::runtime_error&) {
      // One fault is told, the first.
    }
    throw;
  }
}

}  // namespace m3l::emulation
